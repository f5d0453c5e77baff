from doubleloop.sdk.entities import Model

entity = Model(name="bikes", version="4", path="./src", type="custom_model", description="Rides an hour")
