"""Certificates of devices: issued for minutes, to devices that are enrolled and in good state."""
