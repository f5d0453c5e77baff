from doubleloop.sdk.entities import ManagedOnlineEndpoint

entity = ManagedOnlineEndpoint(name="bikes", auth_mode="key", description="Rides an hour", tags={"team": "rides"})
entity.traffic = {"blue": 90, "green": 10}
