# Fuzz targets, and the replay of their corpora in the unit run.
