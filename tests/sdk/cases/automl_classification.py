from doubleloop.sdk import Input, automl

entity = automl.classification(
    compute="cpu-cluster",
    experiment_name="buyers",
    training_data=Input(type="mltable", path="azureml:customers:1"),
    target_column_name="buys",
    primary_metric="accuracy",
    n_cross_validations=5,
    enable_model_explainability=True,
    tags={"owner": "ada"},
)
entity.set_limits(
    timeout_minutes=600, trial_timeout_minutes=20, max_trials=5, max_concurrent_trials=2, enable_early_termination=True
)
entity.set_training(
    blocked_training_algorithms=["logistic_regression"], enable_onnx_compatible_models=False, enable_vote_ensemble=True
)
entity.set_featurization(
    mode="custom",
    blocked_transformers=["LabelEncoder"],
    column_name_and_types={"town": "Categorical"},
    transformer_params={"imputer": [automl.ColumnTransformer(fields=["age"], parameters={"strategy": "median"})]},
)
