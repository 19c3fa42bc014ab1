/*
 * Sound. Speech is priced by the characters that were sent, by time or by
 * tokens, and mostly answered with sound alone; of transcripts some report
 * seconds, some tokens, and plain text neither.
 */
#include "hubd/api/reader.h"

#define SOUND_RATE	 16000 /* bytes a second: 128 kbit/s */
#define SOUND_RATE_LOW	 2000
#define MS_PER_HEARD	 100 /* of a token of sound that is listened to */
#define MS_PER_SAID	 48  /* ... that is spoken */
#define MS_PER_CHARACTER 120 /* slowly spoken */

static const struct member speech_top[] = {
    {SPAN("type"), N_TYPE},
    {SPAN("usage"), N_USAGE},
    {SPAN("error"), N_ERROR},
    {{NULL, 0}, 0},
};
static const struct member transcript_top[] = {
    {SPAN("type"), N_TYPE},
    {SPAN("text"), N_WHOLE_TEXT},
    {SPAN("delta"), N_TEXT},
    {SPAN("usage"), N_USAGE},
    {SPAN("duration"), N_DURATION},
    {SPAN("error"), N_ERROR},
    {{NULL, 0}, 0},
};

static const struct event_type speech_types[] = {
    {"speech.audio.done", .last = true},
    {"error", .failed = true},
    {NULL, .last = false},
};
static const struct event_type transcript_types[] = {
    {"transcript.text.done", .last = true},
    {"error", .failed = true},
    {NULL, .last = false},
};

static bool
has(const struct api_request *req, enum usage_kind kind)
{
	return (req->priced >> kind & 1);
}

static uint64_t
least(uint64_t n)
{
	return (n < USAGE_MAX_COUNT ? n : USAGE_MAX_COUNT);
}

static uint64_t
up(uint64_t n, uint64_t by)
{
	return (n / by + (n % by != 0));
}

/* How long so many bytes of sound last. */
static uint64_t
milliseconds(uint64_t bytes, uint64_t rate)
{
	return (up(least(bytes) * 1000, rate));
}

/* ---- speech -------------------------------------------------------------- */

static void
output_is_sound(const struct raw_usage *raw, struct usage *u)
{
	if (raw_has(raw, RAW_AUDIO_OUT))
		return;
	u->n[USAGE_audio_output] += u->n[USAGE_output];
	u->n[USAGE_output] = 0;
}

static const char *
count_speech(const struct learnt *l, const struct api_request *req,
    const struct meter_report *rep, struct usage *u)
{
	uint64_t rate = req->sound_rate != 0 ? req->sound_rate : SOUND_RATE;
	uint64_t ms;

	if (has(req, USAGE_characters) ||
	    !(has(req, USAGE_milliseconds) || has(req, USAGE_output) ||
		has(req, USAGE_audio_output))) {
		u->n[USAGE_characters] = req->characters;
		return ("");
	}
	/* Events carry it in base64. */
	ms = milliseconds(req->stream ? rep->bytes / 4 * 3 : rep->bytes, rate);
	u->n[USAGE_input] = estimate_input_bound(l, req);
	if (has(req, USAGE_milliseconds))
		u->n[USAGE_milliseconds] = ms;
	else
		u->n[USAGE_audio_output] = up(ms, MS_PER_SAID);
	return ("size");
}

static void
bound_speech(
    const struct learnt *l, const struct api_request *req, struct usage *bound)
{
	uint64_t ms = least(req->characters) * MS_PER_CHARACTER + 1000;

	bound->n[USAGE_input] = estimate_input_bound(l, req);
	bound->n[USAGE_characters] = req->characters;
	bound->n[USAGE_requests] = 1;
	bound->n[USAGE_milliseconds] = ms;
	bound->n[USAGE_audio_output] = up(ms, MS_PER_SAID);
}

const struct kind kind_speech = {
    .members =
	{
	    [N_TOP] = speech_top,
	    [N_USAGE] = reader_io_usage,
	    [N_PROMPT_DETAILS] = reader_prompt_details,
	    [N_OUTPUT_DETAILS] = reader_output_details,
	},
    .types = speech_types,
    .never_read = true,
    .no_sniff = true,
    .fix = output_is_sound,
    .estimate = count_speech,
    .bound = bound_speech,
};

/* ---- transcripts --------------------------------------------------------- */

static const char *
count_transcript(const struct learnt *l, const struct api_request *req,
    const struct meter_report *rep, struct usage *u)
{
	uint64_t rate = req->sound_rate != 0 ? req->sound_rate : SOUND_RATE;
	uint64_t ms = rep->duration_ms;

	(void)l;
	if (ms == 0)
		ms = milliseconds(req->media_bytes, rate);
	if (has(req, USAGE_milliseconds) || !has(req, USAGE_output)) {
		u->n[USAGE_milliseconds] = ms;
	} else {
		u->n[USAGE_audio_input] = up(ms, MS_PER_HEARD);
		u->n[USAGE_output] = up(
		    least(rep->text_bytes) * 1000, LEARNT_OUTPUT_START_MILLI);
	}
	return (rep->duration_ms != 0 ? "duration" : "size");
}

static void
bound_transcript(
    const struct learnt *l, const struct api_request *req, struct usage *bound)
{
	uint64_t rate = req->sound_rate != 0 ? req->sound_rate : SOUND_RATE_LOW;
	uint64_t ms = milliseconds(req->media_bytes, rate);

	bound->n[USAGE_audio_input] = up(ms, MS_PER_HEARD);
	bound->n[USAGE_output] = estimate_output_bound(l, req);
	bound->n[USAGE_requests] = 1;
	bound->n[USAGE_milliseconds] = ms;
}

const struct kind kind_transcript = {
    .members =
	{
	    [N_TOP] = transcript_top,
	    [N_USAGE] = reader_io_usage,
	    [N_PROMPT_DETAILS] = reader_prompt_details,
	    [N_OUTPUT_DETAILS] = reader_output_details,
	},
    .types = transcript_types,
    .any_type = true,
    .no_sniff = true,
    .estimate = count_transcript,
    .bound = bound_transcript,
};
