/*
 * Exact amounts of money: the only file that knows GMP. An amount is an
 * integer of 10^-24 USD; text goes in and out digit by digit, never through
 * a floating point number.
 */
#include "hubd/price/amount.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <gmp.h>

#include "common/alloc.h"

#define SCALE	    24		       /* decimal places of the unit */
#define NANO	    1000000000000000UL /* units of a nano-dollar */
#define TEXT_LIMIT  64 /* GMP aborts on absurd input: bound it first */
#define EXP_LIMIT   40
#define PRICE_BITS  127
#define WORD_PLACES 19 /* decimal places that fit a word, and their power */
#define WORD_POWER  10000000000000000000UL

struct amount {
	mpz_t v;
};

/* The pieces of a number as written: value = digits x 10^exp10 units. */
struct decimal {
	char digits[TEXT_LIMIT + 1];
	size_t n;
	int exp10;
	bool negative;
};

/* mpz_addmul_ui() takes an unsigned long: counts must fit it. */
_Static_assert(sizeof(unsigned long) == sizeof(uint64_t), "LP64");
_Static_assert(sizeof(mp_limb_t) == sizeof(uint64_t), "a word is a limb");

amount_t *
amount_new(void)
{
	amount_t *a;

	a = xmalloc(sizeof(*a));
	mpz_init(a->v);
	return (a);
}

void
amount_free(amount_t *a)
{
	if (a == NULL)
		return;
	mpz_clear(a->v);
	free(a);
}

void
amount_zero(amount_t *a)
{
	mpz_set_ui(a->v, 0);
}

void
amount_copy(amount_t *to, const amount_t *from)
{
	mpz_set(to->v, from->v);
}

void
amount_add(amount_t *a, const amount_t *b)
{
	mpz_add(a->v, a->v, b->v);
}

void
amount_sub(amount_t *a, const amount_t *b)
{
	mpz_sub(a->v, a->v, b->v);
}

void
amount_neg(amount_t *a)
{
	mpz_neg(a->v, a->v);
}

/* A price as a number that lies in its words: there is nothing to free. */
struct price_words {
	mp_limb_t words[2];
	mpz_t v;
};

static mpz_srcptr
price_number(struct unit_price p, struct price_words *w)
{
	w->words[0] = p.lo;
	w->words[1] = p.hi;
	return (mpz_roinit_n(w->v, w->words, 2));
}

void
amount_add_product(amount_t *a, struct unit_price price, uint64_t count)
{
	struct price_words w;

	mpz_addmul_ui(a->v, price_number(price, &w), count);
}

int
amount_cmp(const amount_t *a, const amount_t *b)
{
	int r;

	r = mpz_cmp(a->v, b->v);
	return ((r > 0) - (r < 0));
}

int
amount_sign(const amount_t *a)
{
	return (mpz_sgn(a->v));
}

/* Copies a run of digits; the number of them. */
static size_t
take_digits(struct decimal *d, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++)
		d->digits[d->n++] = s[i];
	return (i);
}

/* "e-06" and its kin at s, to the end. */
static int
parse_exponent(const char *s, size_t n, int *out)
{
	size_t i = 1;
	bool negative = false;
	int e = 0;

	if (i < n && (s[i] == '+' || s[i] == '-'))
		negative = s[i++] == '-';
	if (i == n)
		return (-1);
	for (; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return (-1);
		e = e * 10 + (s[i] - '0');
		if (e > EXP_LIMIT)
			return (-1);
	}
	*out = negative ? -e : e;
	return (0);
}

static int
split(struct decimal *d, const char *s, size_t n)
{
	size_t i = 0, got;
	int e = 0;

	if (n > TEXT_LIMIT)
		return (-1);
	d->n = 0;
	d->exp10 = SCALE;
	d->negative = n > 0 && s[0] == '-';
	if (d->negative)
		i++;
	if ((got = take_digits(d, s + i, n - i)) == 0)
		return (-1);
	i += got;
	if (i < n && s[i] == '.') {
		i++;
		if ((got = take_digits(d, s + i, n - i)) == 0)
			return (-1);
		i += got;
		d->exp10 -= (int)got;
	}
	if (i < n && s[i] != 'e' && s[i] != 'E')
		return (-1);
	if (i < n && parse_exponent(s + i, n - i, &e) == -1)
		return (-1);
	d->exp10 += e;
	return (0);
}

/* Zeros at the end are no digits that the unit would have to hold. */
static void
trim_zeros(struct decimal *d)
{
	while (d->n > 1 && d->digits[d->n - 1] == '0') {
		d->n--;
		d->exp10++;
	}
	d->digits[d->n] = '\0';
}

static void
scale_up(mpz_t v, int places)
{
	unsigned long power = 1;

	for (; places >= WORD_PLACES; places -= WORD_PLACES)
		mpz_mul_ui(v, v, WORD_POWER);
	for (; places > 0; places--)
		power *= 10;
	mpz_mul_ui(v, v, power);
}

int
amount_parse(amount_t *a, const char *text, size_t n)
{
	struct decimal d;
	int bad;

	if (split(&d, text, n) == -1)
		return (-1);
	trim_zeros(&d);
	if (d.n == 1 && d.digits[0] == '0') {
		amount_zero(a);
		return (0);
	}
	if (d.exp10 < 0)
		return (-1);
	bad = mpz_set_str(a->v, d.digits, 10);
	assert(bad == 0);
	scale_up(a->v, d.exp10);
	if (d.negative)
		amount_neg(a);
	return (0);
}

/* -1: it is no price. Uses v up. */
static int
get_price(mpz_t v, struct unit_price *p)
{
	if (mpz_sgn(v) < 0 || mpz_sizeinbase(v, 2) > PRICE_BITS)
		return (-1);
	p->lo = mpz_get_ui(v);
	mpz_fdiv_q_2exp(v, v, 64);
	p->hi = mpz_get_ui(v);
	return (0);
}

int
unit_price_parse(struct unit_price *p, const char *text, size_t n)
{
	amount_t a;
	int r = -1;

	mpz_init(a.v);
	if (amount_parse(&a, text, n) == 0)
		r = get_price(a.v, p);
	mpz_clear(a.v);
	return (r);
}

int
unit_price_scale(struct unit_price *p, const char *factor, size_t n)
{
	amount_t a;
	struct price_words w;
	mpz_t v;
	int r = -1;

	mpz_init(a.v);
	mpz_init(v);
	if (amount_parse(&a, factor, n) == 0) {
		mpz_mul(v, price_number(*p, &w), a.v);
		mpz_ui_pow_ui(a.v, 10, SCALE);
		if (mpz_divisible_p(v, a.v)) {
			mpz_divexact(v, v, a.v);
			r = get_price(v, p);
		}
	}
	mpz_clear(v);
	mpz_clear(a.v);
	return (r);
}

/* Sets the point SCALE places from the right and drops idle zeros. */
static void
place_point(const char *digits, size_t n, char *out)
{
	size_t whole = n > SCALE ? n - SCALE : 0;
	size_t zeros = n < SCALE ? SCALE - n : 0; /* behind the point */

	if (whole == 0)
		*out++ = '0';
	memcpy(out, digits, whole);
	out += whole;
	while (n > whole && digits[n - 1] == '0')
		n--;
	if (n > whole) {
		*out++ = '.';
		memset(out, '0', zeros);
		out += zeros;
		memcpy(out, digits + whole, n - whole);
		out += n - whole;
	}
	*out = '\0';
}

int
amount_format(const amount_t *a, char out[AMOUNT_TEXT_MAX])
{
	char text[AMOUNT_TEXT_MAX + 2], *digits = text;
	size_t n;

	if (mpz_sizeinbase(a->v, 10) >= AMOUNT_TEXT_MAX)
		return (-1);
	mpz_get_str(text, 10, a->v);
	if (*digits == '-') {
		digits++;
		*out++ = '-';
	}
	/* Sign, point and terminator need three bytes. */
	n = strlen(digits);
	if (n > AMOUNT_TEXT_MAX - 3)
		return (-1);
	place_point(digits, n, out);
	return (0);
}

void
unit_price_format(struct unit_price p, char out[AMOUNT_TEXT_MAX])
{
	struct price_words w;
	amount_t a;
	int bad;

	mpz_init_set(a.v, price_number(p, &w));
	bad = amount_format(&a, out);
	assert(bad == 0); /* 128 bits are 39 digits */
	mpz_clear(a.v);
}

nanousd_t
amount_to_nano(const amount_t *a, enum amount_round round)
{
	nanousd_t r;
	mpz_t q;

	mpz_init(q);
	if (round == AMOUNT_UP)
		mpz_cdiv_q_ui(q, a->v, NANO);
	else
		mpz_fdiv_q_ui(q, a->v, NANO);
	if (mpz_fits_slong_p(q))
		r.n = mpz_get_si(q);
	else
		r.n = mpz_sgn(q) > 0 ? INT64_MAX : INT64_MIN;
	mpz_clear(q);
	return (r);
}

void
amount_from_nano(amount_t *a, nanousd_t nano)
{
	mpz_set_si(a->v, nano.n);
	mpz_mul_ui(a->v, a->v, NANO);
}
