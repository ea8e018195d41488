// Losses of linear models with their slopes on a CUDA device. REAL is float or double, set by whoever
// compiles this. Rows are independent, so results repeat.

// log(1 + exp(z)) - y z, and its slope.
extern "C" __global__ void logistic_terms(long long n, const REAL* y, const REAL* z, REAL* value,
                                          REAL* slope) {
    EACH(i, n) {
        REAL t = z[i], e = exp(-fabs(t));
        value[i] = log1p(e) + (t > 0 ? t : (REAL)0) - y[i] * t;
        slope[i] = (t > 0 ? (REAL)1 : e) / (1 + e) - y[i];
    }
}

// A thread for a row of k: probabilities; with y the cross-entropy in `value`, and out is its slope.
extern "C" __global__ void softmax_terms(long long n, int k, const REAL* y, const REAL* z,
                                         REAL* value, REAL* out) {
    EACH(i, n) {
        const REAL* row = z + i * k;
        REAL largest = row[0], sum = 0, loss = 0;
        for (int c = 1; c < k; c++) largest = row[c] > largest ? row[c] : largest;
        for (int c = 0; c < k; c++) sum += exp(row[c] - largest);
        REAL level = log(sum);
        for (int c = 0; c < k; c++) {
            REAL p = exp(row[c] - largest) / sum;
            if (y) {
                REAL goal = y[i * k + c];
                loss -= goal * (row[c] - largest - level);
                p -= goal;
            }
            out[i * k + c] = p;
        }
        if (y) value[i] = loss;
    }
}
