# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The exact active-set method on a Gram block: the compiled twin of ``generic.GramLasso``.

    min_w  w'Gw/2 - q'w + sum_j a_j |w_j| + sum_j b_j w_j^2 / 2        (w >= 0 on request)

Letters: A the support, s its signs, c = q - Gw, L the lower Cholesky factor of G_AA + diag(b_A),
kept row by row, so that BLAS sees its transpose (upper) in column order.
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, sqrt
from scipy.linalg.cython_blas cimport daxpy, ddot, dsyrk, dtrsm, dtrsv
from scipy.linalg.cython_lapack cimport dpotrf

cdef extern from "_columns.h" nogil:
    void d_add_columns(long, long, const double*, long, const Py_ssize_t*, const double*, double*)

# A pivot below this share of its diagonal belongs to a column that depends on the support.
cdef double DEPENDENT = 1e-10
# Turns in which all violators enter together. Nearly dependent columns would come and go by the
# hundred; from then on the strongest enters alone.
cdef int TOGETHER = 10
# Violations below this share of a_j are rounding.
cdef double ROUNDING = 1e-9
# Columns for which one solve each costs less than to pack the factor for all of them.
DEF FEW = 6


cdef class GramLasso:
    """See `skopt_dl.kernels.generic.GramLasso`."""

    cdef int capacity, room, size, width
    cdef bint positive
    cdef double[:, :] G
    cdef double[:, ::1] L
    cdef double[::1] a, b, w, c, before, saved
    cdef double[::1] step, active_c, cosines, sines, column
    cdef Py_ssize_t[::1] support, place, order, new

    def __init__(self, int capacity, bint positive=False):
        self.capacity, self.positive, self.size, self.width = max(capacity, 1), positive, 0, 0
        self.room = 0
        self.L = np.zeros((0, 0))
        self.support = np.zeros(0, dtype=np.intp)

    def _reserve(self, int size):
        """Room in the factor for a support of ``size``: no more than the working set asks for, as
        rows that lie far apart are slow. It doubles when it runs out."""
        cdef int n, s = self.size
        size = min(size, self.capacity)
        if size <= self.room:
            return
        n = self.room = min(self.capacity, max(size, 2 * self.room))
        L, support = np.zeros((n, n)), np.zeros(n, dtype=np.intp)
        if s:
            L[:s, :s] = np.asarray(self.L)[:s, :s]
            support[:s] = np.asarray(self.support)[:s]
        self.L, self.support = L, support
        cdef double[:, ::1] rows = np.zeros((5, n))
        self.step, self.active_c, self.column = rows[0], rows[1], rows[2]
        self.cosines, self.sines = rows[3], rows[4]

    def bind(self, G, b, w, c):
        """Attach a (grown) working set; the coordinates known so far keep their positions."""
        cdef int k
        self.G, self.b, self.w, self.c = G, b, w, c
        self.width = w.shape[0]
        self._reserve(self.width)
        cdef double[:, ::1] values = np.empty((2, self.width))
        cdef Py_ssize_t[:, ::1] places = np.full((3, max(self.width, 1)), -1, dtype=np.intp)
        self.before, self.saved = values[0], values[1]
        self.place, self.order, self.new = places[0], places[1], places[2]
        for k in range(self.size):
            self.place[self.support[k]] = k

    def refresh(self):
        """Rebuild the factor for the support of ``w``: after ``w`` or ``b`` were set from outside.

        A coordinate whose column depends on the others goes to zero.
        """
        cdef Py_ssize_t[::1] support
        cdef int k
        cdef Py_ssize_t j
        found = np.flatnonzero(np.asarray(self.w)).astype(np.intp)
        support = found
        self.size = 0
        np.asarray(self.place)[:] = -1
        if self._append_block(support, found.shape[0]):
            return
        for k in range(found.shape[0]):
            j = support[k]
            if self._append(j) != 1:
                self._move(j, -self.w[j])
                self.w[j] = 0.0

    # --- the factor ---------------------------------------------------------------------------

    cdef int _append(self, Py_ssize_t j) noexcept nogil:
        """Add column j to the factor: 1 done, 0 no room, -1 dependent (its row is in ``column``)."""
        cdef int s = self.size, one = 1, k, ld = self.room
        cdef double pivot, diagonal = self.G[j, j] + self.b[j]
        if s >= self.capacity:
            return 0
        cdef double* row = &self.L[s, 0]
        for k in range(s):
            row[k] = self.G[j, self.support[k]]
        if s:
            dtrsv(b"U", b"T", b"N", &s, &self.L[0, 0], &ld, row, &one)
        pivot = diagonal - ddot(&s, row, &one, row, &one)
        if pivot <= DEPENDENT * diagonal:
            for k in range(s):
                self.column[k] = row[k]
            return -1
        row[s] = sqrt(pivot)
        self.support[s] = j
        self.place[j] = s
        self.size = s + 1
        return 1

    cdef bint _append_block(self, Py_ssize_t[::1] J, int k) noexcept nogil:
        """Add k columns at once, if they are clearly independent."""
        cdef int s = self.size, i, t, info = 0, ld = self.room, unit = 1
        cdef double one = 1.0, minus = -1.0, d
        if k == 0 or s + k > self.capacity:
            return False
        for i in range(k):
            for t in range(s):
                self.L[s + i, t] = self.G[J[i], self.support[t]]
            for t in range(i + 1):
                self.L[s + i, s + t] = self.G[J[i], J[t]]
            self.L[s + i, s + i] += self.b[J[i]]
        if s and k < FEW:
            for i in range(k):
                dtrsv(b"U", b"T", b"N", &s, &self.L[0, 0], &ld, &self.L[s + i, 0], &unit)
            dsyrk(b"U", b"T", &k, &s, &minus, &self.L[s, 0], &ld, &one, &self.L[s, s], &ld)
        elif s:
            dtrsm(b"L", b"U", b"T", b"N", &s, &k, &one, &self.L[0, 0], &ld, &self.L[s, 0], &ld)
            dsyrk(b"U", b"T", &k, &s, &minus, &self.L[s, 0], &ld, &one, &self.L[s, s], &ld)
        dpotrf(b"U", &k, &self.L[s, s], &ld, &info)
        if info:
            return False
        for i in range(k):
            d = self.L[s + i, s + i]
            if d * d <= 10 * DEPENDENT * (self.G[J[i], J[i]] + self.b[J[i]]):
                return False
        for i in range(k):
            self.support[s + i] = J[i]
            self.place[J[i]] = s + i
        self.size = s + k
        return True

    cdef void _delete(self, int k) noexcept nogil:
        """Remove row k of the factor: shift up, then rotate the new superdiagonal away."""
        cdef int s = self.size - 1, i, t
        cdef double x, y, r
        self.place[self.support[k]] = -1
        for i in range(k, s):
            self.support[i] = self.support[i + 1]
            self.place[self.support[i]] = i
            for t in range(i + 2):
                self.L[i, t] = self.L[i + 1, t]
        self.size = s
        for t in range(k, s):
            # The rotations known so far are a chain of dependent operations on a row; on four rows
            # side by side they take hardly longer than on one.
            if (t - k) % 4 == 0:
                self._rotate(t, min(4, s - t), k, t)
            else:
                self._rotate(t, 1, t - (t - k) % 4, t)
            x, y = self.L[t, t], self.L[t, t + 1]
            r = sqrt(x * x + y * y)
            self.cosines[t], self.sines[t] = x / r, y / r
            self.L[t, t], self.L[t, t + 1] = r, 0.0

    cdef void _rotate(self, int t, int rows, int start, int stop) noexcept nogil:
        """Rotations ``start .. stop - 1`` of the columns of four or fewer rows from ``t`` on."""
        cdef int i, u
        cdef double* c = &self.cosines[0]
        cdef double* s = &self.sines[0]
        cdef double* p
        cdef double* q
        cdef double* v
        cdef double* z
        cdef double x0, x1, x2, x3, y0, y1, y2, y3
        if start >= stop:
            return
        if rows < 4:
            for u in range(rows):
                p = &self.L[t + u, 0]
                x0 = p[start]
                for i in range(start, stop):
                    y0 = p[i + 1]
                    p[i] = c[i] * x0 + s[i] * y0
                    x0 = c[i] * y0 - s[i] * x0
                p[stop] = x0
            return
        p, q, v, z = &self.L[t, 0], &self.L[t + 1, 0], &self.L[t + 2, 0], &self.L[t + 3, 0]
        x0, x1, x2, x3 = p[start], q[start], v[start], z[start]
        for i in range(start, stop):
            y0, y1, y2, y3 = p[i + 1], q[i + 1], v[i + 1], z[i + 1]
            p[i], q[i] = c[i] * x0 + s[i] * y0, c[i] * x1 + s[i] * y1
            v[i], z[i] = c[i] * x2 + s[i] * y2, c[i] * x3 + s[i] * y3
            x0, x1 = c[i] * y0 - s[i] * x0, c[i] * y1 - s[i] * x1
            x2, x3 = c[i] * y2 - s[i] * x2, c[i] * y3 - s[i] * x3
        p[stop], q[stop], v[stop], z[stop] = x0, x1, x2, x3

    cdef void _solve_factor(self, double* rhs) noexcept nogil:
        cdef int s = self.size, one = 1, ld = self.room
        if s:
            dtrsv(b"U", b"T", b"N", &s, &self.L[0, 0], &ld, rhs, &one)
            dtrsv(b"U", b"N", b"N", &s, &self.L[0, 0], &ld, rhs, &one)

    cdef void _move(self, Py_ssize_t j, double change) noexcept nogil:
        """``w_j += change`` with all of ``c`` following."""
        cdef int m = self.width, one = 1
        cdef double d = -change
        self.w[j] += change
        daxpy(&m, &d, &self.G[j, 0], &one, &self.c[0], &one)

    # --- the method ---------------------------------------------------------------------------

    cdef void _newton(self) noexcept nogil:
        """Minimise on the support, dropping coordinates whose sign would change.

        Only the support's part of c is followed; the caller brings the rest up to date.
        """
        cdef int k, hit, s
        cdef double t, cut, w, sign
        while self.size > 0:
            s = self.size
            for k in range(s):
                w = self.w[self.support[k]]
                sign = 1.0 if w > 0 else -1.0
                self.step[k] = (
                    self.active_c[k] - self.b[self.support[k]] * w
                    - self.a[self.support[k]] * sign
                )
                self.column[k] = self.step[k]
            self._solve_factor(&self.step[0])
            t, hit = 1.0, -1
            for k in range(s):
                w = self.w[self.support[k]]
                if w * (w + self.step[k]) <= 0.0:
                    cut = -w / self.step[k]
                    if cut < t or hit < 0:
                        t, hit = cut, k
            for k in range(s):
                self.w[self.support[k]] += t * self.step[k]
                # (G_AA + b) step = rhs, hence G_AA step = rhs - b step.
                self.active_c[k] -= t * (
                    self.column[k] - self.b[self.support[k]] * self.step[k]
                )
            if hit < 0:
                break
            self.w[self.support[hit]] = 0.0
            for k in range(hit, s - 1):
                self.active_c[k] = self.active_c[k + 1]
            self._delete(hit)

    cdef void _settle(self) noexcept nogil:
        """Newton's steps on the support, with all of ``c`` following."""
        cdef int k, moved = 0
        cdef Py_ssize_t j
        cdef double value
        if self.size == 0:
            return
        for k in range(self.size):
            self.active_c[k] = self.c[self.support[k]]
        self.before[:] = self.w
        self._newton()
        for j in range(self.width):
            value = self.before[j] - self.w[j]
            if value != 0.0:
                self.order[moved], self.step[moved] = j, value
                moved += 1
        if moved > 0:
            d_add_columns(moved, self.width, &self.G[0, 0], self.G.strides[0] // sizeof(double),
                          &self.order[0], &self.step[0], &self.c[0])

    cdef double _size(self, Py_ssize_t j) noexcept nogil:
        return self.c[j] if self.positive else fabs(self.c[j])

    cdef int _find_violators(self) noexcept nogil:
        """Put the columns outside that violate their bound into ``order``, strongest first."""
        cdef Py_ssize_t j
        cdef int count = 0, gap, i, k
        for j in range(self.width):
            if self.place[j] < 0 and self._size(j) - self.a[j] * (1 + ROUNDING) > 0:
                self.order[count] = j
                count += 1
        # Shell's sort: a handful mostly, a few thousand at the start of a large set.
        gap = count // 2
        while gap > 0:
            for i in range(gap, count):
                j, k = self.order[i], i
                while k >= gap and self._size(self.order[k - gap]) < self._size(j):
                    self.order[k] = self.order[k - gap]
                    k -= gap
                self.order[k] = j
            gap //= 2
        return count

    cdef bint _exchange(self, Py_ssize_t j) noexcept nogil:
        """Column j depends on the support: along the null direction the loss is flat and the
        penalty falls, so move until a coordinate leaves, and let j take its place."""
        cdef int s = self.size, one = 1, k, hit = -1, ld = self.room
        cdef double sign = 1.0 if self.c[j] > 0 else -1.0, t = 0.0, cut, w, d
        dtrsv(b"U", b"N", b"N", &s, &self.L[0, 0], &ld, &self.column[0], &one)
        for k in range(s):
            d = -sign * self.column[k]
            self.step[k] = d
            w = self.w[self.support[k]]
            if w * d < 0:
                cut = -w / d
                if hit < 0 or cut < t:
                    t, hit = cut, k
        if hit < 0:
            return False
        for k in range(s):
            self._move(self.support[k], t * self.step[k])
        self._move(j, sign * t)
        self.w[self.support[hit]] = 0.0
        self._delete(hit)
        if self._append(j) != 1:
            self._move(j, -self.w[j])
            return False
        return True

    cdef double _soft(self, Py_ssize_t j) noexcept nogil:
        """The minimiser of coordinate j from zero."""
        cdef double z = self.c[j], h = self.G[j, j] + self.b[j]
        if h <= 0:
            return 0.0
        if z > self.a[j]:
            return (z - self.a[j]) / h
        if not self.positive and z < -self.a[j]:
            return (z + self.a[j]) / h
        return 0.0

    def solve(self, a, int max_turns=1000):
        """Minimise for strengths ``a`` from the present ``w``; returns the turns taken."""
        self.a = a
        cdef int turn, k, got, n_new, n_over
        cdef Py_ssize_t j
        cdef double value
        cdef bint changed
        for turn in range(max_turns):
            PyErr_CheckSignals()
            with nogil:
                self._settle()
                n_over = self._find_violators()
                if turn >= TOGETHER and n_over > 1:
                    n_over = 1
                self.saved[:] = self.c
                n_new = 0
                for k in range(n_over):
                    j = self.order[k]
                    value = self._soft(j)
                    if value != 0.0:
                        self._move(j, value)
                        self.new[n_new] = j
                        n_new += 1
                changed = self._append_block(self.new, n_new)
            if n_over == 0:
                return turn + 1
            if changed:
                continue
            with nogil:
                # Not clearly independent: undo, and take them one by one with exchanges.
                for k in range(n_new):
                    self.w[self.new[k]] = 0.0
                self.c[:] = self.saved
                for k in range(n_over):
                    j = self.order[k]
                    value = self._soft(j)
                    if value == 0.0:
                        continue
                    got = self._append(j)
                    if got == 1:
                        self._move(j, value)
                        changed = True
                    elif got < 0:
                        changed |= self._exchange(j)
            if not changed:
                return turn + 1
        return max_turns

    def slope(self, a):
        """``d w / d t`` for strengths ``t a``: ``-(G_AA + b)^-1 (a s)`` on the support."""
        cdef int k
        out = np.zeros(self.width)
        cdef double[::1] view = out
        cdef const double[::1] strengths = a
        for k in range(self.size):
            self.step[k] = strengths[self.support[k]] * (
                1.0 if self.w[self.support[k]] > 0 else -1.0
            )
        self._solve_factor(&self.step[0])
        for k in range(self.size):
            view[self.support[k]] = -self.step[k]
        return out
