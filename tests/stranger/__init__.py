"""A stranger's first ten minutes with a pipeline that no profile describes: init, its proposals taken as they are, batch."""
