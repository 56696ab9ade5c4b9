/* Rows of double that are a whole number of vectors long; what fills them up is zero. For ctc.c and mmi.c. */

#define LANES 8

typedef double vector __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

static long padded(long places) { return (places + LANES - 1) / LANES * LANES; }

static double sum_of(const double *row, long width) {
  vector sums = {0};
  for (long place = 0; place < width; place += LANES) sums += *(const vector *)(row + place);
  double sum = 0;
  for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
  return sum;
}
