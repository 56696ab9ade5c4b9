"""A corpus of recordings in, Parquet out: the road of `recognizer`, spread over processes or over a Ray cluster.

sources ▸ listing ▸ tasks ▸ reading (windows) ▸ recognising (units) ▸ collecting (recordings, shards) ▸ output

`auricle data check` takes the same road with one stage: utterances ▸ checking (answers).

`local` and `on_ray` move the same values through the same stages of `stages`; what they return may come in any
order, and `collect` puts it together, so that the bytes do not depend on the engine. Nothing outside this package knows
Ray, pyarrow or fsspec, which come with the extra `ray`.
"""
