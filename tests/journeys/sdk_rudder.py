"""What an app says with RudderStack's SDK for Python: python sdk_rudder.py URL KEY"""

import sys

from rudderstack.analytics.client import Client

url, key = sys.argv[1:]
failures: list[str] = []
client = Client(key, host=url, upload_interval=0.2, on_error=lambda error, _: failures.append(str(error)))
client.identify("U-1", {"name": "Mei Chen", "email": "mei@example.cn"}, message_id="one-identify")
client.track("U-1", "Order Completed", {"total": 12.5}, message_id="one-track")
client.page("U-1", name="Home", message_id="one-page")
client.screen("U-1", name="Plans", message_id="one-screen")
client.track("U-1", "ConsentGiven", {"purpose": "marketing.sms", "channel": "sms"}, message_id="one-consent")
client.group("U-1", "G-1", message_id="one-group")
client.alias("U-0", "U-1", message_id="one-alias")
client.flush()
client.join()
sys.exit("\n".join(failures) or None)
