-- For every script: prints what was measured as one line of JSON, after wrk's own report.
function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout + summary.errors.status
  print(string.format(
    '\n{"requests":%d,"us":%d,"p50_us":%d,"p99_us":%d,"failed":%d}',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), failed))
end
