"""Where images come from: TFRecords and folders, each read into one manifest."""
