/*
 * Answers about what is kept at the provider. Files cost nothing here, nor
 * does looking at anything; the usage of a batch is in the batch itself,
 * once that has ended.
 */
#include "hubd/api/reader.h"

static const struct member object[] = {
    {SPAN("id"), N_PLAIN_ID},
    {{NULL, 0}, 0},
};
static const struct member batch[] = {
    {SPAN("id"), N_PLAIN_ID},
    {SPAN("status"), N_STATUS},
    {SPAN("model"), N_MODEL},
    {SPAN("output_file_id"), N_OUTPUT_FILE},
    {SPAN("error_file_id"), N_ERROR_FILE},
    {SPAN("usage"), N_USAGE},
    {{NULL, 0}, 0},
};

const struct kind kind_object = {
    .members = {[N_TOP] = object},
    .no_sniff = true,
    .read_at_once = true,
    .estimate = reader_free_of_charge,
    .bound = reader_no_bound,
};
const struct kind kind_batch = {
    .members =
	{
	    [N_TOP] = batch,
	    [N_USAGE] = reader_io_usage,
	    [N_PROMPT_DETAILS] = reader_prompt_details,
	    [N_OUTPUT_DETAILS] = reader_output_details,
	},
    .no_sniff = true,
    .read_at_once = true,
    .estimate = reader_free_of_charge,
    .bound = reader_no_bound,
};
const struct kind kind_raw = {
    .never_read = true,
    .no_sniff = true,
    .read_at_once = true,
    .estimate = reader_free_of_charge,
    .bound = reader_no_bound,
};
