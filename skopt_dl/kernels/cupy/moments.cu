// First and second moments of columns in one reading of a matrix, on a CUDA device. REAL is float or
// double, set by whoever compiles this. Every sum has one order, so results repeat.

// Of rows one behind the other: strip s of them makes the sums part[s] and the squares
// part[strips + s]. A thread has a column of a strip.
extern "C" __global__ void moments_of_strips(long long n, long long p, int strips, int tiles,
                                             const REAL* X, const REAL* h, REAL* part) {
    long long rows = (n + strips - 1) / strips;
    for (int b = blockIdx.x; b < strips * tiles; b += gridDim.x) {
        long long strip = b / tiles, first = strip * rows;
        long long last = first + rows < n ? first + rows : n;
        // What the tiles leave out, where there are fewer than it takes.
        for (long long j = (long long)(b % tiles) * blockDim.x + threadIdx.x; j < p;
             j += (long long)tiles * blockDim.x) {
            REAL sum = 0, square = 0;
            for (long long i = first; i < last; i++) {
                REAL x = X[i * p + j], weighted = h[i] * x;
                sum += weighted;
                square += weighted * x;
            }
            part[strip * p + j] = sum;
            part[(strips + strip) * p + j] = square;
        }
    }
}

extern "C" __global__ void moments_of_parts(long long p, int strips, const REAL* part, REAL* out) {
    EACH(e, 2 * p) {
        const REAL* own = part + (e / p) * strips * p + e % p;
        REAL sum = 0;
        for (int s = 0; s < strips; s++) sum += own[s * p];
        out[e] = sum;
    }
}

// Of columns one behind the other, a block for each.
extern "C" __global__ void moments_of_columns(long long n, long long p, const REAL* X,
                                              const REAL* h, REAL* out) {
    for (long long j = blockIdx.x; j < p; j += gridDim.x) {
        REAL sum = 0, square = 0;
        for (long long i = threadIdx.x; i < n; i += blockDim.x) {
            REAL x = X[j * n + i], weighted = h[i] * x;
            sum += weighted;
            square += weighted * x;
        }
        sum = block_sum(sum);
        square = block_sum(square);
        if (threadIdx.x == 0) {
            out[j] = sum;
            out[p + j] = square;
        }
    }
}
