// Random numbers on a CUDA device: Philox 4x32-10, a function of a key and a counter. A thread's
// numbers depend on its position alone, so that they do not depend on the launch. REAL is float or
// double, set by whoever compiles this; the draws are the same for both.
//
// J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

// c becomes the four words that belong to it.
__device__ void philox(unsigned k0, unsigned k1, unsigned* c) {
    for (int round = 0; round < 10; round++) {
        unsigned long long a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
        unsigned c1 = c[1], c3 = c[3];
        c[0] = (unsigned)(b >> 32) ^ c1 ^ k0;
        c[1] = (unsigned)b;
        c[2] = (unsigned)(a >> 32) ^ c3 ^ k1;
        c[3] = (unsigned)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

__device__ void words_at(long long counter, unsigned k0, unsigned k1, unsigned* c) {
    c[0] = (unsigned)counter;
    c[1] = (unsigned)(counter >> 32);
    c[2] = c[3] = 0;
    philox(k0, k1, c);
}

// The words of given counters, four each.
extern "C" __global__ void random_words(long long n, unsigned k0, unsigned k1,
                                        const unsigned* counters, unsigned* out) {
    EACH(i, n) {
        unsigned c[4];
        for (int j = 0; j < 4; j++) c[j] = counters[4 * i + j];
        philox(k0, k1, c);
        for (int j = 0; j < 4; j++) out[4 * i + j] = c[j];
    }
}

// out[i] = 0 where the word of i is below `dropped`, else scale.
extern "C" __global__ void keep_mask(long long n, unsigned k0, unsigned k1, unsigned dropped,
                                     REAL scale, REAL* out) {
    EACH(i, (n + 3) / 4) {
        unsigned c[4];
        words_at(i, k0, k1, c);
        for (int j = 0; j < 4; j++)
            if (4 * i + j < n) out[4 * i + j] = c[j] < dropped ? (REAL)0 : scale;
    }
}

// 63-bit numbers to sort by.
extern "C" __global__ void random_keys(long long n, unsigned k0, unsigned k1, long long* out) {
    EACH(i, n) {
        unsigned c[4];
        words_at(i, k0, k1, c);
        out[i] = ((long long)(c[0] >> 1) << 32) | c[1];
    }
}

// Even draws below `below` < 2^32, from 64 bits each.
extern "C" __global__ void random_below(long long n, unsigned k0, unsigned k1, long long below,
                                        long long* out) {
    EACH(i, n) {
        unsigned c[4];
        words_at(i, k0, k1, c);
        unsigned long long size = below, low = (c[1] * size) >> 32;
        out[i] = (long long)((c[0] * size + low) >> 32);
    }
}
