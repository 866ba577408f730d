"""The programs that run in the lab's containers: the coordinator and the worker of two pipelines."""
