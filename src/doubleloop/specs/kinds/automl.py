"""AutoML jobs on tables: what is to be learned, from which data, with which algorithms, within which limits."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from doubleloop.specs import support
from doubleloop.specs.fields import Accepted, Flag, Fold, Int, LooseText, Number, Scalar, Spec, Text, Variables
from doubleloop.specs.kinds import jobs
from doubleloop.specs.kinds.values import Input, JobOutput, Output

BEST_MODEL = "best_model"
DATA = ("training_data", "validation_data", "test_data")

# -- names, as Azure ML writes them ------------------------------------------------------------------------------------

_TREES = "DecisionTree RandomForest ExtremeRandomTrees GradientBoosting LightGBM"
_REGRESSORS = f"ElasticNet LassoLars SGD KNN {_TREES} XGBoostRegressor"
ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "classification": tuple(
        "LogisticRegression SGD MultinomialNaiveBayes BernoulliNaiveBayes SVM LinearSVM KNN "
        f"{_TREES} XGBoostClassifier".split()
    ),
    "regression": tuple(_REGRESSORS.split()),
    "forecasting": tuple(
        "Naive SeasonalNaive Average SeasonalAverage ExponentialSmoothing AutoArima Arimax Prophet TCNForecaster "
        f"{_REGRESSORS}".split()
    ),
}
# Named by Azure ML and not to be had here, each with what it would need.
UNAVAILABLE: Mapping[str, str] = {
    "Prophet": "needs Stan, which is not part of the training environment",
    "TCNForecaster": "needs a trainer of neural networks, which is not served yet",
}
_SCORES = ("normalized_root_mean_squared_error", "normalized_mean_absolute_error", "r2_score", "spearman_correlation")
# The first of each is the default.
METRICS: Mapping[str, tuple[str, ...]] = {
    "classification": (
        "AUC_weighted", "accuracy", "norm_macro_recall", "average_precision_score_weighted", "precision_score_weighted",
    ),
    "regression": _SCORES,
    "forecasting": _SCORES,
}  # fmt: skip
MINIMIZED = frozenset(_SCORES[:2])
TRANSFORMERS = (
    "TextTargetEncoder", "OneHotEncoder", "CatTargetEncoder", "TfIdf", "WoETargetEncoder", "LabelEncoder",
    "WordEmbedding", "NaiveBayes", "CountVectorizer", "HashOneHotEncoder",
)  # fmt: skip
COLUMN_TYPES = ("Numeric", "Categorical", "CategoricalHash", "DateTime", "Text", "Hashes", "Ignore")
LATER = (
    "image_classification", "image_classification_multilabel", "image_object_detection", "image_instance_segmentation",
    "text_classification", "text_classification_multilabel", "text_ner",
)  # fmt: skip


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "")


def _named(what: str, *known: str) -> Callable[[Any], Any]:
    """Any spelling of one of these names (LightGBM, light_gbm, LIGHT_GBM) as the canonical one."""
    names = {_plain(name): name for name in known}

    def find(value: Any) -> Any:
        found = names.get(_plain(value)) if isinstance(value, str) else None
        if found is None:
            near = difflib.get_close_matches(_plain(str(value)), names, n=1, cutoff=0.6)
            hint = f"; did you mean '{names[near[0]]}'?" if near else f"; known: {', '.join(known)}"
            raise ValueError(f"'{value}' is not {what}{hint}")
        return found

    return find


_EVERY_ALGORITHM = tuple(dict.fromkeys(name for names in ALGORITHMS.values() for name in names))
_EVERY_METRIC = tuple(dict.fromkeys(name for names in METRICS.values() for name in names))


def _available(value: str) -> str:
    if value in UNAVAILABLE:
        what = f"the algorithm '{value}' is not served: it {UNAVAILABLE[value]}"
        raise PydanticCustomError("not_supported", "not served", {"what": what, "cure": "take it out of the list"})
    return value


Algorithm = Annotated[Text, BeforeValidator(_named("an algorithm", *_EVERY_ALGORITHM))]
ServedAlgorithm = Annotated[Algorithm, AfterValidator(_available)]
Metric = Annotated[Text, BeforeValidator(_named("a primary metric", *_EVERY_METRIC))]
Transformer = Annotated[Text, BeforeValidator(_named("a transformer", *TRANSFORMERS))]
ColumnType = Annotated[Text, BeforeValidator(_named("a type of column", *COLUMN_TYPES))]


def _columns(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


ColumnNames = Annotated[list[Text], BeforeValidator(_columns)]
_Whole = Annotated[Int, Field(ge=1)]


def _auto_or(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _auto_shape(value: Any) -> str:
    return "<auto>" if isinstance(value, str) else "<numbers>" if isinstance(value, list) else "<number>"


AutoOrNumber = Annotated[
    Annotated[Annotated[Literal["auto"], BeforeValidator(_auto_or)], Tag("<auto>")]
    | Annotated[_Whole, Tag("<number>")],
    Discriminator(_auto_shape),
]
AutoOrFolds = Annotated[
    Annotated[Annotated[Literal["auto"], BeforeValidator(_auto_or)], Tag("<auto>")]
    | Annotated[Annotated[Int, Field(ge=2)], Tag("<number>")],
    Discriminator(_auto_shape),
]
AutoOrNumbers = Annotated[
    Annotated[Annotated[Literal["auto"], BeforeValidator(_auto_or)], Tag("<auto>")]
    | Annotated[_Whole, Tag("<number>")]
    | Annotated[Annotated[list[_Whole], Field(min_length=1)], Tag("<numbers>")],
    Discriminator(_auto_shape),
]


def _binding(value: str) -> str:
    if not value.startswith(("${{", "azureml:", "https://", "http://", "tree:", "blob:")):
        raise ValueError(f"'{value}' is not a table: write {{type: mltable, path: {value}}}")
    return value


def _data_shape(value: Any) -> str:
    return "<binding>" if isinstance(value, str) else "<input>"


_Bound = Annotated[Text, AfterValidator(_binding)]
DataField = Annotated[
    Annotated[_Bound, Tag("<binding>")] | Annotated[Input, Tag("<input>")], Discriminator(_data_shape)
]

# -- parts -------------------------------------------------------------------------------------------------------------


class Limits(Spec):
    title: ClassVar[str] = "automl › limits"

    max_trials: Annotated[Int, Field(ge=1, le=1000)] = Field(1000, description="Most trials; the ensembles come after.")
    max_concurrent_trials: Annotated[Int, Field(ge=1, le=1000)] = Field(1, description="Trials at once.")
    timeout_minutes: _Whole = Field(360, description="Minutes for the whole job; it ends with the best it has.")
    trial_timeout_minutes: _Whole = Field(30, description="Minutes for one trial.")
    enable_early_termination: Flag = Field(True, description="Stop when trials get no better (see docs/automl.md).")
    exit_score: Number | None = Field(None, description="Stop once the primary metric is as good as this.")
    max_cores_per_trial: Annotated[Int, Field(ge=-1)] | None = Field(
        None, description="Threads of a trial; -1: all cores, left out: 1."
    )
    max_nodes: Accepted | None = Field(None, description="Machines for one trial.")


class ColumnTransformer(Spec):
    title: ClassVar[str] = "automl › featurization › transformer"

    fields: ColumnNames | None = Field(None, description="Columns; all that it fits when left out.")
    parameters: dict[str, Scalar | None] = Field(default_factory=dict, description="Settings, such as strategy.")


_Parameters = Annotated[Text, BeforeValidator(_named("a transformer", "Imputer", "TfIdf", "HashOneHotEncoder"))]


class Featurization(Spec):
    title: ClassVar[str] = "automl › featurization"

    mode: Annotated[Literal["auto", "off", "custom"], BeforeValidator(lambda value: _mode(value))] = Field(
        "auto", description="auto, custom (auto with the settings below) or off."
    )
    blocked_transformers: list[Transformer] = Field(default_factory=list, description="Transformers not to use.")
    column_name_and_types: dict[str, ColumnType] = Field(
        default_factory=dict,
        description="What a column is: Numeric, Categorical, CategoricalHash, DateTime, Text, Ignore.",
    )
    transformer_params: dict[_Parameters, list[ColumnTransformer]] = Field(
        default_factory=dict, description="Settings by transformer: imputer, tf_idf, hash_one_hot_encoder."
    )
    dataset_language: LooseText | None = Field(None, description="Language of texts.")
    enable_dnn_featurization: Literal[False] | None = Field(
        None, description="Embeddings of texts by a neural network."
    )

    @model_validator(mode="before")
    @classmethod
    def _no_networks(cls, data: Any) -> Any:
        return _refuse_true(
            data, "enable_dnn_featurization", "texts become TF-IDF features: no neural network reads them"
        )


def _mode(value: Any) -> Any:
    """Unquoted, ``off`` is a boolean in YAML 1.1, which Azure's own examples warn of."""
    return "off" if value is False else value.strip().lower() if isinstance(value, str) else value


def _refuse_true(data: Any, name: str, why: str) -> Any:
    if isinstance(data, dict) and str(data.get(name)).lower() in ("true", "yes", "on"):
        what, cure = f"'{name}' is not served: {why}", f"leave '{name}' out, or write false"
        raise PydanticCustomError("not_supported", "not served", {"what": what, "cure": cure, "at": (name,)})
    return data


_LEARNERS = (
    "None", "LogisticRegression", "LogisticRegressionCV", "LightGBMClassifier", "ElasticNet", "ElasticNetCV",
    "LightGBMRegressor", "LinearRegression",
)  # fmt: skip


class StackEnsemble(Spec):
    title: ClassVar[str] = "automl › training › stack_ensemble_settings"

    stack_meta_learner_type: Annotated[Text, BeforeValidator(_named("a meta learner", *_LEARNERS))] | None = Field(
        None, description="Learns from the models' predictions: LogisticRegression, ElasticNet, LightGBMClassifier, …"
    )
    stack_meta_learner_train_percentage: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        None, description="Share of the validation rows that it learns from."
    )
    stack_meta_learner_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="Arguments of the meta learner."
    )


class Training(Spec):
    title: ClassVar[str] = "automl › training"

    allowed_training_algorithms: list[ServedAlgorithm] | None = Field(
        None, description="The only algorithms to try, as LightGBM or light_gbm."
    )
    blocked_training_algorithms: list[Algorithm] = Field(default_factory=list, description="Algorithms not to try.")
    enable_vote_ensemble: Flag = Field(True, description="Try the weighted vote of the best models at the end.")
    enable_stack_ensemble: Flag | None = Field(
        None, description="Try a model of the best models' predictions at the end; not for forecasting when left out."
    )
    enable_model_explainability: Flag = Field(True, description="Say how much each column matters to the best model.")
    enable_dnn_training: Literal[False] | None = Field(None, description="Neural networks among the algorithms.")
    enable_onnx_compatible_models: Literal[False] | None = Field(None, description="Models that ONNX can hold.")
    stack_ensemble_settings: StackEnsemble | None = Field(None, description="How the models' predictions are joined.")
    ensemble_model_download_timeout_minutes: Accepted | None = Field(None, description="Time to fetch the models.")
    training_mode: Accepted | None = Field(None, description="Distributed training.")

    @model_validator(mode="before")
    @classmethod
    def _not_served(cls, data: Any) -> Any:
        _refuse_true(data, "enable_dnn_training", "there is no trainer of neural networks yet")
        return _refuse_true(data, "enable_onnx_compatible_models", "models are kept as MLflow models, not as ONNX")


def _none_word(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


_OnlyNone = Annotated[Literal["none"], BeforeValidator(_none_word)]


class Forecasting(Spec):
    title: ClassVar[str] = "automl › forecasting"

    time_column_name: Text = Field(description="Column of times.")
    forecast_horizon: AutoOrNumber = Field(1, description="Periods to forecast; auto: one season.")
    time_series_id_column_names: ColumnNames = Field(
        default_factory=list, description="Columns that tell the series apart; one series when left out."
    )
    frequency: Text | None = Field(
        None, description="Period, as pandas writes it (D, W-THU, H); inferred when left out."
    )
    target_lags: AutoOrNumbers | None = Field(
        None, description="Earlier values of the target, in periods, as features."
    )
    target_rolling_window_size: AutoOrNumber | None = Field(
        None, description="Mean, least and greatest of so many last values of the target as features."
    )
    seasonality: AutoOrNumber = Field("auto", description="Periods of a season; auto: by the frequency.")
    cv_step_size: AutoOrNumber = Field("auto", description="Periods between the folds' origins; auto: the horizon.")
    country_or_region_for_holidays: Text | None = Field(
        None, description="Country (US, DE) whose holidays are a feature."
    )
    short_series_handling_config: Annotated[Literal["auto", "pad", "drop", "none"], BeforeValidator(_none_word)] = (
        Field(
            "auto",
            description="Series too short to validate: auto and pad keep them, drop leaves them out, none fails.",
        )
    )
    target_aggregate_function: Annotated[Literal["none", "sum", "max", "min", "mean"], BeforeValidator(_none_word)] = (
        Field("none", description="Joins several rows of one period: sum, max, min or mean of the target.")
    )
    features_unknown_at_forecast_time: ColumnNames = Field(
        default_factory=list, description="Columns that are not known for the future; they are not used."
    )
    feature_lags: _OnlyNone | None = Field(None, description="Earlier values of the other columns as features.")
    use_stl: _OnlyNone | None = Field(None, description="Season and trend by STL as features.")

    @model_validator(mode="before")
    @classmethod
    def _not_served(cls, data: Any) -> Any:
        for name, instead in _INSTEAD.items():
            value = data.get(name) if isinstance(data, dict) else None
            if value is not None and _none_word(value) != "none":
                what = f"'{name}: {value}' is not served"
                told = {"what": what, "cure": instead, "at": (name,)}
                raise PydanticCustomError("not_supported", "not served", told)
        return data


_INSTEAD = {
    "feature_lags": "leave it out, or add the lagged columns to the data",
    "use_stl": "leave it out: 'seasonality', 'target_lags' and 'target_rolling_window_size' describe the season too",
}


# -- jobs --------------------------------------------------------------------------------------------------------------


class Automl(Spec):
    """What an AutoML job and an AutoML step share."""

    task: Annotated[Literal["classification", "regression", "forecasting"], Fold] = Field(
        description="classification, regression or forecasting"
    )
    target_column_name: Text = Field(description="Column to predict.")
    training_data: DataField = Field(description="Table to learn from: mltable, uri_file or uri_folder.")
    validation_data: DataField | None = Field(None, description="Table to judge trials by.")
    test_data: DataField | None = Field(None, description="Table to measure the best model on.")
    validation_data_size: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None, description="Share of the training data to judge trials by."
    )
    test_data_size: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None, description="Share of the training data to measure the best model on."
    )
    n_cross_validations: AutoOrFolds | None = Field(None, description="Folds of cross-validation, or auto.")
    cv_split_column_names: ColumnNames | None = Field(
        None, description="Columns that are one fold each: 1 for training rows, 0 for validation rows."
    )
    weight_column_name: Text | None = Field(None, description="Column of the rows' weights.")
    primary_metric: Metric | None = Field(None, description="What trials are judged by; AUC_weighted or "
                                          "normalized_root_mean_squared_error when left out.")  # fmt: skip
    positive_label: LooseText | None = Field(None, description="Label of which binary metrics are reported.")
    limits: Limits | None = Field(None, description="How many trials, how long.")
    featurization: Featurization | None = Field(None, description="How columns become features.")
    training: Training | None = Field(None, description="Which algorithms, which ensembles.")
    forecasting: Forecasting | None = Field(None, description="What is a time, a series, a season; of forecasting.")
    outputs: dict[str, JobOutput] = Field(
        default_factory=dict, description="best_model: the best trial's MLflow model."
    )
    log_verbosity: Annotated[Literal["notset", "not_set", "debug", "info", "warning", "error", "critical"], Fold] = (
        Field("info", description="How much the trials tell in their logs.")
    )
    compute: Text | None = Field(None, description="Where the trials run.")
    resources: jobs.Resources | None = Field(None, description="Machines wanted per trial.")
    environment_id: Accepted | None = Field(None, description="Azure's environment of the job.")
    environment_variables: Variables = Field(default_factory=dict, description="Set for every trial.")
    identity: Accepted | None = Field(None, description="Azure identity of the job.")
    queue_settings: Accepted | None = Field(None, description="Tier and priority in Azure's queue.")

    @model_validator(mode="before")
    @classmethod
    def _task_served(cls, data: Any) -> Any:
        task = str(data.get("task") or "").strip().lower() if isinstance(data, dict) else ""
        if _plain(task) in {_plain(name) for name in LATER}:
            what = f"AutoML on images and texts (task: {task}) is not served yet: there are no such trainers"
            cure = "train with code of your own in a command job"
            raise PydanticCustomError("not_supported", "not served yet", {"what": what, "cure": cure, "at": ("task",)})
        return data

    @model_validator(mode="after")
    def _fits_the_task(self) -> Automl:
        if self.primary_metric and self.primary_metric not in METRICS[self.task]:
            raise ValueError(f"primary_metric '{self.primary_metric}' is not one of {', '.join(METRICS[self.task])}")
        training = self.training
        for name in (
            [*(training.allowed_training_algorithms or ()), *training.blocked_training_algorithms] if training else ()
        ):
            if name not in ALGORITHMS[self.task]:
                raise ValueError(f"'{name}' is no algorithm of {self.task}: {', '.join(ALGORITHMS[self.task])}")
        if not self.algorithms():
            raise ValueError("every algorithm is blocked, or none is allowed")
        if (self.forecasting is not None) != (self.task == "forecasting"):
            needs = "is missing" if self.forecasting is None else f"means nothing in a task of {self.task}"
            raise ValueError(f"'forecasting' {needs}")
        if self.positive_label is not None and self.task != "classification":
            raise ValueError(f"'positive_label' means nothing in a task of {self.task}")
        return self

    @model_validator(mode="after")
    def _one_way_to_validate(self) -> Automl:
        names = ("validation_data", "validation_data_size", "cv_split_column_names")
        given = [name for name in names if getattr(self, name) is not None]
        folds = self.n_cross_validations if self.n_cross_validations != "auto" else None
        if len(given) > 1 or ("validation_data" in given and folds) or ("cv_split_column_names" in given and folds):
            both = [*given, *(["n_cross_validations"] if folds else [])]
            raise ValueError(f"{' and '.join(both[:2])} contradict each other: keep one")
        if self.test_data is not None and self.test_data_size is not None:
            raise ValueError("test_data and test_data_size contradict each other: keep one")
        if self.task == "forecasting" and (
            self.validation_data_size or self.test_data_size or self.cv_split_column_names
        ):
            raise ValueError(
                "forecasts are validated on later rows: use n_cross_validations, validation_data, test_data"
            )
        return self

    @model_validator(mode="after")
    def _one_output(self) -> Automl:
        for name, output in self.outputs.items():
            if name != BEST_MODEL:
                raise ValueError(f"an AutoML job has one output, '{BEST_MODEL}', and none that is called '{name}'")
            kind = output.type if isinstance(output, Output) else None
            if kind not in (None, "mlflow_model", "custom_model", "uri_folder"):
                raise ValueError(f"'{BEST_MODEL}' is an mlflow_model, not a {kind}")
        return self

    @property
    def inputs(self) -> dict[str, Any]:
        """The tables, by field: what other kinds of jobs write under ``inputs``."""
        return {name: getattr(self, name) for name in DATA if getattr(self, name) is not None}

    def algorithms(self) -> tuple[str, ...]:
        """The algorithms to try, by Azure ML's names."""
        training = self.training or Training.model_validate({})
        allowed = training.allowed_training_algorithms or ALGORITHMS[self.task]
        blocked = {*training.blocked_training_algorithms, *UNAVAILABLE}
        return tuple(name for name in dict.fromkeys(allowed) if name not in blocked)

    def metric(self) -> str:
        return self.primary_metric or METRICS[self.task][0]


class AutomlJob(jobs.Described, Automl):
    title: ClassVar[str] = "automl job"

    type: Annotated[Literal["automl"], Fold] = Field("automl", description="automl")
    experiment_name: Text | None = Field(None, description="Experiment that the runs are recorded in.")
    parent_job_name: Text | None = Field(None, description="Job that this one is recorded under.")


class AutomlNode(jobs.Described, Automl):
    title: ClassVar[str] = "pipeline job › automl step"

    type: Annotated[Literal["automl"], Fold] = Field("automl", description="automl")
    experiment_name: Text | None = Field(None, description="Recorded with the pipeline's experiment instead.")
    comment: LooseText | None = Field(None, description="A remark.")


_AUTOML = (
    "task target_column_name training_data validation_data test_data validation_data_size test_data_size "
    "n_cross_validations cv_split_column_names weight_column_name primary_metric positive_label limits featurization "
    "training forecasting outputs compute resources environment_variables log_verbosity"
)
_AZURE = {
    "identity": support.IDENTITY,
    "queue_settings": support.QUEUE,
    "environment_id": "has no effect here: trials run in the environment that comes with Doubleloop",
}
SUPPORT: dict[type[Spec], support.Rows] = {
    Limits: support.rows(
        "max_trials max_concurrent_trials timeout_minutes trial_timeout_minutes enable_early_termination exit_score "
        "max_cores_per_trial",
        {"max_nodes": support.HOST},
    ),
    ColumnTransformer: support.rows("fields parameters"),
    Featurization: support.rows(
        "mode blocked_transformers column_name_and_types transformer_params enable_dnn_featurization",
        {"dataset_language": "has no effect here: texts are cut into words alike in every language"},
    ),
    StackEnsemble: support.rows(
        "stack_meta_learner_type stack_meta_learner_train_percentage stack_meta_learner_kwargs"
    ),
    Training: support.rows(
        "allowed_training_algorithms blocked_training_algorithms enable_vote_ensemble enable_stack_ensemble "
        "enable_model_explainability enable_dnn_training enable_onnx_compatible_models stack_ensemble_settings",
        {
            "ensemble_model_download_timeout_minutes": "has no effect here: the models are on this machine",
            "training_mode": support.HOST,
        },
    ),
    Forecasting: support.rows(
        "time_column_name forecast_horizon time_series_id_column_names frequency target_lags "
        "target_rolling_window_size seasonality cv_step_size country_or_region_for_holidays "
        "short_series_handling_config target_aggregate_function features_unknown_at_forecast_time feature_lags use_stl"
    ),
    Automl: support.rows(_AUTOML, _AZURE),
    AutomlJob: support.rows(f"{jobs.DESCRIBED} experiment_name parent_job_name"),
    AutomlNode: support.rows(f"{jobs.DESCRIBED} comment", {"experiment_name": support.PIPELINE_OWNS}),
}
