// Products with a limited-memory inverse Hessian on a CUDA device. REAL is float or double, set by
// whoever compiles this.

// A turn of the two loops: q = by (from + c v), and next'q as the sum of `out`. Here c is made of
// v's inner product with `from`, the sum of `part`, which every block adds up for itself in one
// order: -c is kept in `weight` on the way down, and what is kept there is taken off on the way up.
// Without v there is no c.
extern "C" __global__ void pair_step(long long n, int parts, const REAL* part, const REAL* rho,
                                     REAL* weight, int up, const REAL* v, const REAL* scales,
                                     REAL scale, const REAL* from, const REAL* next, REAL* q,
                                     REAL* out) {
    REAL c = 0, by = scales ? *scales : scale;
    if (v) {
        REAL sum = 0;
        for (int b = threadIdx.x; b < parts; b += blockDim.x) sum += part[b];
        c = *rho * block_sum(sum);
        if (up) {
            c = *weight - c;
        } else {
            if (blockIdx.x == 0 && threadIdx.x == 0) *weight = c;
            c = -c;
        }
    }
    for (int b = blockIdx.x; b < parts; b += gridDim.x) {
        REAL sum = 0;
        for (long long i = (long long)b * blockDim.x + threadIdx.x; i < n;
             i += (long long)parts * blockDim.x) {
            REAL x = by * (v ? from[i] + c * v[i] : from[i]);
            q[i] = x;
            if (next) sum += next[i] * x;
        }
        sum = block_sum(sum);
        if (threadIdx.x == 0) out[b] = sum;
    }
}
