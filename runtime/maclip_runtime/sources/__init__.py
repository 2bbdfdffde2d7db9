"""Sources: where frames come from, pictures and folders of them."""
