"""The cache between the stages: encoder specs, HDF5 shards and stores. Knows neither TensorFlow nor the stages."""
