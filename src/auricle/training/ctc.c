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

#include "rows.h"

static long width_of(long letters) { return padded(letters + 2); }

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

/* A clip and its text, and room for the sums: see ctc_space. Letters and blanks of the way from the first frame on are
kept for all frames [T, width]; of the way back from the last, one frame is there [width], and its two rows of `out`. */
struct clip {
  long frames, letters, tokens, width;
  const double *probs; /* [T, V] */
  double *letters_at, *blanks_at, *letter_back, *blank_back, *letter_out, *blank_out;
  double *skip, *by_token; /* [width]: one where letter i may follow letter i - 1 at once; [V] */
  int64_t *needed, *token; /* [width], of letter i */
  struct alive *alive;     /* [T] */
};

static struct clip prepared(const double *probs, const int64_t *targets, double *space, long frames, long letters,
                            long tokens) {
  const long width = width_of(letters);
  struct clip c = {.frames = frames, .letters = letters, .tokens = tokens, .width = width, .probs = probs};
  c.letters_at = space, c.blanks_at = c.letters_at + frames * width;
  c.letter_back = c.blanks_at + frames * width, c.blank_back = c.letter_back + width;
  c.letter_out = c.blank_back + width, c.blank_out = c.letter_out + width;
  c.skip = c.blank_out + width, c.by_token = c.skip + width;
  c.needed = (int64_t *)(c.by_token + tokens), c.token = c.needed + width;
  c.alive = (struct alive *)(c.token + width);
  memset(c.skip, 0, width * sizeof(double));
  memset(c.token, 0, width * sizeof(int64_t));
  c.needed[0] = 0;
  for (long i = 1; i <= letters; i++) {
    const int repeated = i > 1 && targets[i - 1] == targets[i - 2];
    c.token[i] = targets[i - 1];
    c.skip[i] = i > 1 && !repeated;
    c.needed[i] = c.needed[i - 1] + 1 + repeated;
  }
  struct alive now = {1, 0, 0, 0};
  for (long frame = 0; frame < frames; frame++) {
    move_on(&now, c.needed, letters, frame, frames - 1 - frame);
    c.alive[frame] = now;
  }
  return c;
}

/* The way from the first frame on, and the scales [T]. Whether something was left at its end. */
static int forth(struct clip *c, double *scales) {
  double scale = 1;
  for (long frame = 0; frame < c->frames; frame++) {
    const struct alive at = c->alive[frame];
    const double *prob = c->probs + frame * c->tokens, blank_prob = prob[0] / scale, scaling = 1 / scale;
    double *letter = c->letters_at + frame * c->width, *blank = c->blanks_at + frame * c->width;
    memset(letter, 0, c->width * sizeof(double));
    memset(blank, 0, c->width * sizeof(double));
    if (frame == 0) {
      if (at.blank_from == 0) blank[0] = prob[0];
      if (at.letter_from == 1 && at.letter_to >= 1) letter[1] = prob[c->token[1]];
    } else {
      const double *letter_before = letter - c->width, *blank_before = blank - c->width;
      const double *skip = c->skip;
      const int64_t *token = c->token;
#pragma GCC ivdep
      for (long i = at.blank_from; i <= at.blank_to; i++)
        blank[i] = (blank_before[i] + letter_before[i]) * blank_prob;
#pragma GCC ivdep
      for (long i = at.letter_from; i <= at.letter_to; i++)
        letter[i] = (letter_before[i] + blank_before[i - 1] + skip[i] * letter_before[i - 1]) *
                    (prob[token[i]] * scaling);
    }
    scales[frame] = scale = sum_of(letter, c->width) + sum_of(blank, c->width);
    if (!(scale > 0)) return 0;
  }
  return 1;
}

/* One frame of the way back, to `frame` from the one after it; `scale` is that one's, and what is given this one's. */
static double step_back(struct clip *c, long frame, double scale) {
  const struct alive at = c->alive[frame], next = c->alive[frame + 1];
  const double *prob = c->probs + (frame + 1) * c->tokens, blank_prob = prob[0] / scale, scaling = 1 / scale;
  double *letter_back = c->letter_back, *blank_back = c->blank_back;
  double *letter_out = c->letter_out, *blank_out = c->blank_out;
  const double *skip = c->skip;
  const int64_t *token = c->token;
  memset(letter_out, 0, 2 * c->width * sizeof(double));
#pragma GCC ivdep
  for (long i = next.blank_from; i <= next.blank_to; i++) blank_out[i] = blank_back[i] * blank_prob;
#pragma GCC ivdep
  for (long i = next.letter_from; i <= next.letter_to; i++)
    letter_out[i] = letter_back[i] * (prob[token[i]] * scaling);
  memset(letter_back, 0, 2 * c->width * sizeof(double));
#pragma GCC ivdep
  for (long i = at.blank_from; i <= at.blank_to; i++) blank_back[i] = blank_out[i] + letter_out[i + 1];
#pragma GCC ivdep
  for (long i = at.letter_from; i <= at.letter_to; i++)
    letter_back[i] = letter_out[i] + blank_out[i] + skip[i + 1] * letter_out[i + 1];
  return sum_of(letter_back, c->width) + sum_of(blank_back, c->width);
}

/* The gradient [V] of a frame: the part of all paths that is at each token there. Whether there was any. */
static int give_gradient(struct clip *c, long frame, float *grad) {
  const double *letter = c->letters_at + frame * c->width, *blank = c->blanks_at + frame * c->width;
  for (long i = 0; i < c->width; i++) {
    c->letter_out[i] = letter[i] * c->letter_back[i];
    c->blank_out[i] = blank[i] * c->blank_back[i];
  }
  const double blanks = sum_of(c->blank_out, c->width), all = blanks + sum_of(c->letter_out, c->width);
  if (!(all > 0)) return 0;
  memset(c->by_token, 0, c->tokens * sizeof(double));
  c->by_token[0] = blanks;
  for (long i = c->alive[frame].letter_from; i <= c->alive[frame].letter_to; i++)
    c->by_token[c->token[i]] += c->letter_out[i];
  for (long v = 0; v < c->tokens; v++) grad[v] = -c->by_token[v] / all;
  return 1;
}

/* The way back from the last frame, its scales [T], and the gradient [T, V] of log probs. A scale that stays zero says
that nothing was left: the rest is not computed. */
static void back(struct clip *c, double *scales, float *grad) {
  double scale = 1;
  memset(c->letter_back, 0, 2 * c->width * sizeof(double));
  c->blank_back[c->letters] = 1;
  if (c->letters) c->letter_back[c->letters] = 1;
  for (long frame = c->frames - 1; frame >= 0; frame--) {
    if (frame < c->frames - 1) {
      scales[frame + 1] = scale = step_back(c, frame, scale);
      if (!(scale > 0)) return;
    }
    if (!give_gradient(c, frame, grad + frame * c->tokens)) return;
  }
  /* The way into the first frame. */
  const double letter = c->letters ? c->letter_back[1] * c->probs[c->token[1]] : 0;
  scales[0] = (c->blank_back[0] * c->probs[0] + letter) / scale;
}

/* Numbers of 8 bytes that `ctc` needs beside what it gives. */
long ctc_space(long frames, long letters, long tokens) {
  return (2 * frames + 8) * width_of(letters) + tokens + frames * (long)(sizeof(struct alive) / 8);
}

/* probs [B, T, V], blank is token 0; targets in [1, V), those of all clips in one row; frames and letters [B]. Gives the
scales of both ways [B, T] and grad [B, T, V], which begin at zero. */
void ctc(const double *probs, const int64_t *targets, const int64_t *frames, const int64_t *letters, double *scales,
         double *scales_back, float *grad, double *space, long batch, long longest, long tokens) {
  for (long number = 0; number < batch; number++) {
    const long at = number * longest;
    struct clip c = prepared(probs + at * tokens, targets, space, frames[number], letters[number], tokens);
    if (forth(&c, scales + at)) back(&c, scales_back + at, grad + at * tokens);
    targets += letters[number];
  }
}
