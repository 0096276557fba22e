"""All fuzz targets, by name."""

from target import Target

from targets import (
    archives,
    arrays,
    chunks,
    effects,
    escapes,
    h5,
    knowledge,
    labels,
    matrices,
    plans,
    records,
    stored,
    tables,
    words,
    zarr_stores,
)

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        h5.H5AD,
        h5.BYTES,
        escapes.ESCAPES,
        zarr_stores.ZARR,
        chunks.CHUNKS,
        stored.STORED,
        matrices.TEN_X,
        tables.TABLES,
        arrays.ARRAYS,
        labels.LABELS,
        records.RECORDS,
        records.MODELS_SAVED,
        plans.PLANS,
        effects.EFFECTS,
        knowledge.KNOWLEDGE,
        words.WORDS_OF_GENES,
        archives.ARCHIVES,
    )
}
