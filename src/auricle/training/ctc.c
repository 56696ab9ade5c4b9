/* The CTC loss and its gradient (Graves et al., 2006), a clip at a time: see ctc.py for what is asked of it.

Sums of probabilities, not of their logarithms: each frame is scaled to the sum one (Rabiner, 1989), and the logarithms
of the scales make up the loss. In double, what a frame holds may differ by a factor of 1e308 before something is lost;
states from which the end cannot be reached in time, or which cannot be reached, take no part, so that they do not use
up that range. The scales of both directions come out: where they disagree, something was lost.

Letters and the blanks between them stand in rows of their own, so that a frame is arithmetic on neighbours. Letter i is
in [1, L], its blank is the one behind it, blank 0 stands before all. A row has room for the L + 2 places 0 to L + 1, of
which the ends stay zero, up to a whole number of vectors. */

#include <stdint.h>
#include <string.h>

#define LANES 8

typedef double vector __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

static long width_of(long letters) { return (letters + 2 + LANES - 1) / LANES * LANES; }

static double sum_of(const double *row, long width) {
  vector sums = {0};
  for (long place = 0; place < width; place += LANES) sums += *(const vector *)(row + place);
  double sum = 0;
  for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
  return sum;
}

/* What may be at a frame: letters and blanks in [from, to], none where from > to. */
struct alive {
  long letter_from, letter_to, blank_from, blank_to;
};

/* needed[i]: the least frames of the first i letters. They only grow, so both ends only move up. */
static void move_on(struct alive *alive, const int64_t *needed, long letters, long frame, long left) {
  while (alive->letter_to < letters && needed[alive->letter_to + 1] <= frame + 1) alive->letter_to++;
  while (alive->blank_to < letters && needed[alive->blank_to + 1] <= frame) alive->blank_to++;
  while (alive->letter_from <= letters && needed[letters] - needed[alive->letter_from] > left) alive->letter_from++;
  while (alive->blank_from < letters && needed[letters] - needed[alive->blank_from + 1] + 1 > left)
    alive->blank_from++;
}

/* probs [T, V], blank is token 0; targets [L] in [1, V). Gives the scales of the frames from the first on and from the
last on [T], and grad [T, V] of log probs, which begins at zero. A scale that is zero says that nothing was left: the
rest is not computed. space: see ctc_space. */
static void clip(const double *probs, const int64_t *targets, double *scales, double *scales_back, float *grad,
                 double *space, long frames, long letters, long tokens) {
  const long width = width_of(letters);
  double *letters_at = space, *blanks_at = letters_at + frames * width; /* [T, width] each */
  double *letter_back = blanks_at + frames * width, *blank_back = letter_back + width;
  double *letter_out = blank_back + width, *blank_out = letter_out + width;
  double *skip = blank_out + width, *by_token = skip + width;
  int64_t *needed = (int64_t *)(by_token + tokens);
  int64_t *token = needed + width;                             /* [width], of letter i */
  struct alive *alive = (struct alive *)(token + width);       /* [T] */

  memset(skip, 0, width * sizeof(double));
  memset(token, 0, width * sizeof(int64_t));
  needed[0] = 0;
  for (long i = 1; i <= letters; i++) {
    const int repeated = i > 1 && targets[i - 1] == targets[i - 2];
    token[i] = targets[i - 1];
    skip[i] = i > 1 && !repeated;
    needed[i] = needed[i - 1] + 1 + repeated;
  }
  struct alive now = {1, 0, 0, 0};
  for (long frame = 0; frame < frames; frame++) {
    move_on(&now, needed, letters, frame, frames - 1 - frame);
    alive[frame] = now;
  }

  double scale = 1;
  for (long frame = 0; frame < frames; frame++) {
    const struct alive at = alive[frame];
    const double *prob = probs + frame * tokens, blank_prob = prob[0] / scale, scaling = 1 / scale;
    double *letter = letters_at + frame * width, *blank = blanks_at + frame * width;
    memset(letter, 0, width * sizeof(double));
    memset(blank, 0, width * sizeof(double));
    if (frame == 0) {
      if (at.blank_from == 0) blank[0] = prob[0];
      if (at.letter_from == 1 && at.letter_to >= 1) letter[1] = prob[token[1]];
    } else {
      const double *letter_before = letter - width, *blank_before = blank - width;
#pragma GCC ivdep
      for (long i = at.blank_from; i <= at.blank_to; i++)
        blank[i] = (blank_before[i] + letter_before[i]) * blank_prob;
#pragma GCC ivdep
      for (long i = at.letter_from; i <= at.letter_to; i++)
        letter[i] = (letter_before[i] + blank_before[i - 1] + skip[i] * letter_before[i - 1]) *
                    (prob[token[i]] * scaling);
    }
    scales[frame] = scale = sum_of(letter, width) + sum_of(blank, width);
    if (!(scale > 0)) return;
  }

  memset(letter_back, 0, 4 * width * sizeof(double));
  scale = 1;
  for (long frame = frames - 1; frame >= 0; frame--) {
    const struct alive at = alive[frame];
    if (frame == frames - 1) {
      blank_back[letters] = 1;
      if (letters) letter_back[letters] = 1;
    } else {
      const struct alive next = alive[frame + 1];
      const double *prob = probs + (frame + 1) * tokens, blank_prob = prob[0] / scale, scaling = 1 / scale;
      memset(letter_out, 0, 2 * width * sizeof(double));
#pragma GCC ivdep
      for (long i = next.blank_from; i <= next.blank_to; i++) blank_out[i] = blank_back[i] * blank_prob;
#pragma GCC ivdep
      for (long i = next.letter_from; i <= next.letter_to; i++)
        letter_out[i] = letter_back[i] * (prob[token[i]] * scaling);
      memset(letter_back, 0, 2 * width * sizeof(double));
#pragma GCC ivdep
      for (long i = at.blank_from; i <= at.blank_to; i++) blank_back[i] = blank_out[i] + letter_out[i + 1];
#pragma GCC ivdep
      for (long i = at.letter_from; i <= at.letter_to; i++)
        letter_back[i] = letter_out[i] + blank_out[i] + skip[i + 1] * letter_out[i + 1];
      scales_back[frame + 1] = scale = sum_of(letter_back, width) + sum_of(blank_back, width);
      if (!(scale > 0)) return;
    }
    /* The part of all paths that is at each place now. */
    const double *letter = letters_at + frame * width, *blank = blanks_at + frame * width;
    for (long i = 0; i < width; i++) {
      letter_out[i] = letter[i] * letter_back[i];
      blank_out[i] = blank[i] * blank_back[i];
    }
    const double blanks = sum_of(blank_out, width), all = blanks + sum_of(letter_out, width);
    if (!(all > 0)) return;
    memset(by_token, 0, tokens * sizeof(double));
    by_token[0] = blanks;
    for (long i = at.letter_from; i <= at.letter_to; i++) by_token[token[i]] += letter_out[i];
    for (long v = 0; v < tokens; v++) grad[frame * tokens + v] = -by_token[v] / all;
  }
  /* The way into the first frame. */
  scales_back[0] = (blank_back[0] * probs[0] + (letters ? letter_back[1] * probs[token[1]] : 0)) / scale;
}

/* Numbers of 8 bytes that `ctc` needs beside what it gives. */
long ctc_space(long frames, long letters, long tokens) {
  return (2 * frames + 8) * width_of(letters) + tokens + frames * (long)(sizeof(struct alive) / 8);
}

/* probs [B, T, V]; targets of all clips in one row; frames and letters [B]. scales and scales_back [B, T] and grad
[B, T, V], which begin at zero. */
void ctc(const double *probs, const int64_t *targets, const int64_t *frames, const int64_t *letters, double *scales,
         double *scales_back, float *grad, double *space, long batch, long longest, long tokens) {
  for (long number = 0; number < batch; number++) {
    const long at = number * longest;
    clip(probs + at * tokens, targets, scales + at, scales_back + at, grad + at * tokens, space, frames[number],
         letters[number], tokens);
    targets += letters[number];
  }
}
