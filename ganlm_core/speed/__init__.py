"""How fast this machine trains and samples: beside the textbook's way, and beside the least that the work can cost.

Each work is done by two processes in turn, one our way and one the textbook's (:mod:`ganlm_core.speed.textbook`), on
all cores and by the clock on the wall, and the ratio of both is the result. The floor counts the operations of our
matrix products, at the rate of a large product, and the bytes that they read and write, at the rate of a copy; both
rates are measured beside the work.
"""
