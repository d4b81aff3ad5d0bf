"""The trainers' process: claims jobs, runs each in a child, reports what it learns."""
