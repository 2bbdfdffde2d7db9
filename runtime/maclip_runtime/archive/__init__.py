"""Archives: millions of pictures to Parquet, in shards that are scored on Ray and written whole."""
