"""Sources: where frames come from: pictures, videos, cameras and pipes, one module a kind."""
