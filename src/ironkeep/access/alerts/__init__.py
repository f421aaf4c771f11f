"""Alerts: events that an operator should look at now.

`alerts.py` raises an alert: it journals a notice, keeps the newest thousand, and calls the
listeners that send mail and webhooks (access/notices). A change is an alert each time. Repeated
refusals of one subject are merged into one alert a minute, so a loop cannot fill the disk.
`routes.py` serves `sys/alerts`.
"""
