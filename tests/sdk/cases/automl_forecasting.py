from doubleloop.sdk import Input, automl

entity = automl.forecasting(
    training_data=Input(type="mltable", path="azureml:sales:1"),
    validation_data=Input(type="mltable", path="azureml:later-sales:1"),
    target_column_name="sold",
    primary_metric="normalized_root_mean_squared_error",
    forecasting_settings=automl.ForecastingSettings(time_column_name="day", forecast_horizon=7, frequency="D"),
)
entity.set_limits(timeout_minutes=60, max_trials=3)
entity.set_training(enable_stack_ensemble=False, allowed_training_algorithms=["DecisionTree", "ElasticNet"])
entity.set_forecast_settings(
    time_series_id_column_names="shop", target_lags=[1, 7], country_or_region_for_holidays="DE"
)
