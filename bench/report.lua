-- Loaded by every script: prints the results as one line of JSON after wrk's own report.
function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '\n{"requests":%d,"us":%d,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d}',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
