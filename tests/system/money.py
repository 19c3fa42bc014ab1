"""What a request must cost, worked out with Decimal, apart from the hub.

Usage here is a dict of disjoint kinds as the ledger shows it. Prices are the
texts that the price file of the tests holds.
"""

from decimal import Context, Decimal

EXACT = Context(prec=200)

FIELDS = {
    "input": "input_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "audio_input": "input_cost_per_audio_token",
    "image_input": "input_cost_per_image_token",
    "output": "output_cost_per_token",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_output": "output_cost_per_audio_token",
    "image_input": "input_cost_per_image_token",
    "image_output": "output_cost_per_image_token",
    "images": "output_cost_per_image",
    "characters": "input_cost_per_character",
    "milliseconds": "input_cost_per_second",
}
FALLBACK = {"cache_read": "input", "cache_write": "input",
            "cache_write_1h": "cache_write",
            "audio_input": "input", "image_input": "input",
            "image_input": "input", "reasoning": "output",
            "audio_output": "output", "image_output": "output"}
INPUT_SIDE = {"input", "cache_read", "cache_write", "cache_write_1h",
              "audio_input", "image_input"}
OUTPUT_SIDE = {"output", "reasoning", "audio_output", "image_output"}


def plain(d):
    """Plain notation: no exponent, no trailing zeros."""
    text = format(d, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text if text not in ("-0", "") else "0"


def cost(prices, usage):
    """The exact amount as a text; kinds without a price fall back."""
    total = Decimal(0)
    for kind, count in usage.items():
        while FIELDS.get(kind) not in prices and kind in FALLBACK:
            kind = FALLBACK[kind]
        price = Decimal(prices.get(FIELDS.get(kind), "0"))
        if kind == "milliseconds":
            price = price.scaleb(-3, EXACT)
        total = EXACT.add(total, EXACT.multiply(price, Decimal(count)))
    return plain(total)


def side(usage, kinds):
    return sum(n for kind, n in usage.items() if kind in kinds)


def kinds_of(u):
    """OpenAI's usage as disjoint kinds, and whether they are beyond doubt.

    Details are subsets of prompt and completion, except that some providers
    count reasoning outside completion: the total tells. Where the details
    contradict the sums only the sums are beyond doubt.
    """
    if "input_tokens" in u:
        u = {**u, "prompt_tokens": u["input_tokens"],
             "completion_tokens": u["output_tokens"],
             "prompt_tokens_details": u.get("input_tokens_details") or
             u.get("input_token_details"),
             "completion_tokens_details": u.get("output_tokens_details")}
    prompt = u.get("prompt_tokens") or 0
    pd = u.get("prompt_tokens_details") or {}
    cd = u.get("completion_tokens_details") or {}
    total = u.get("total_tokens")
    completion = u.get("completion_tokens")
    if completion is None:
        completion = total - prompt if total is not None else 0
    reasoning = cd.get("reasoning_tokens") or 0
    if total is not None and not reasoning:
        # Google's thoughts are in its total alone
        reasoning = max(0, total - prompt - completion)
    if total is not None and reasoning and \
            total == prompt + completion + reasoning:
        completion += reasoning
    usage = {
        "cache_read": pd.get("cached_tokens") or
        u.get("prompt_cache_hit_tokens") or u.get("num_cached_tokens") or 0,
        "cache_write": pd.get("cache_write_tokens") or 0,
        "audio_input": pd.get("audio_tokens") or 0,
        "image_input": pd.get("image_tokens") or 0,
        "reasoning": reasoning,
        "audio_output": cd.get("audio_tokens") or 0,
    }
    usage["input"] = prompt - side(usage, INPUT_SIDE)
    usage["output"] = completion - side(usage, OUTPUT_SIDE)
    certain = min(usage.values()) >= 0
    return ({k: n for k, n in usage.items() if n}, prompt, completion,
            certain)
