"""Files in and out: readers, other tools' layouts, the catalogue of public data, `inspect`."""
