"""The end of a sweep of coordinate descent: coordinates at zero rest while the others settle."""


cdef inline bint swept(bint active, double indicator, double target, double again, int most,
                       double* full, int* active_left) noexcept nogil:
    """Whether a sweep over all coordinates has met the target; ``full`` is its indicator.

    After one that has not come up to ``most`` sweeps over the ``active`` ones, as long as these
    move at least ``again`` of what it did.
    """
    if active:
        active_left[0] = active_left[0] - 1 if indicator > again * full[0] else 0
        return False
    full[0], active_left[0] = indicator, most
    return indicator <= target
