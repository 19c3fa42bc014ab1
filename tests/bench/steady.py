"""A steady load: steady.py PORT KEY MODEL RATE

One plain request after another on one connection, each at its time, until
standard input ends; then one JSON object as that of load. Latency counts from
when a request was due: an answer that is late delays what comes after it, and
that shows.
"""

import http.client
import json
import resource
import select
import sys
import time


def ask(connection, key, body):
    """Whether the answer is a good one."""
    connection.request("POST", "/v1/chat/completions", body,
                       {"Authorization": f"Bearer {key}",
                        "Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status == 200


def run(connection, key, body, rate):
    """Latencies in microseconds, and the number of errors."""
    took, errors, due = [], 0, time.monotonic()
    while True:
        left = max(0, due - time.monotonic())
        if select.select([sys.stdin], [], [], left)[0]:
            return sorted(took), errors
        errors += not ask(connection, key, body)
        took.append(int((time.monotonic() - due) * 1e6))
        due += 1 / rate


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main():
    port, key, model, rate = sys.argv[1:]
    body = json.dumps({"model": model, "messages": [
        {"role": "user", "content": "hello"}]}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    t0, cpu0 = time.monotonic(), cpu_s()
    took, errors = run(connection, key, body, float(rate))
    print(json.dumps({
        "requests": len(took), "errors": errors,
        "us": int((time.monotonic() - t0) * 1e6),
        "cpu_us": int((cpu_s() - cpu0) * 1e6), "p50_us": took[len(took) // 2],
        "p99_us": took[len(took) * 99 // 100]}))


main()
