from doubleloop.sdk.constants import AssetTypes
from doubleloop.sdk.entities import Data

entity = Data(
    name="rides", version="1", path="./data.csv", type=AssetTypes.URI_FILE, description="Rides", tags={"year": "2012"}
)
