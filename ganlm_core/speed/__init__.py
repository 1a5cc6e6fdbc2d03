"""How fast this machine trains and samples: beside the textbook's way, and beside the least that the work can cost.

Each work is done by two processes in turn, one our way and one the textbook's (:mod:`ganlm_core.speed.textbook`), in
processor time on one thread each: so the ratio of both is the result, whatever else the machine does. The floor counts
the operations of our matrix products, at the rate of a large product, and the bytes that they read and write, at the
rate of a copy; both rates are measured beside the work.
"""
