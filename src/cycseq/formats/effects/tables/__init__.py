"""Tables of effects in text, Parquet and GCT files, as statisticians' tools and data banks write them."""
