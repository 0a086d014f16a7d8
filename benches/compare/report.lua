-- What wrk measured, as one line of JSON. Latencies in microseconds.
function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        '\nREPORT {"requests":%d,"duration_us":%d,"errors":%d,"bytes":%d,"p50":%d,"p99":%d}\n',
        summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout, summary.bytes,
        latency:percentile(50), latency:percentile(99)))
end
