"""``doubleloop/setup``: the installation as code; ``plan`` shows the difference to what is, ``apply`` makes it so."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from doubleloop.specs import support
from doubleloop.specs.fields import Currency, Fold, Int, LooseText, Name, Number, Spec, Tags, Text
from doubleloop.specs.kinds.places import Compute, Datastore
from doubleloop.specs.kinds.rules import Rule
from doubleloop.specs.kinds.values import Mailbox, Persona

PERSONAS = (
    "data_scientist",
    "data_analyst",
    "model_tester",
    "business_stakeholder",
    "project_lead",
    "product_owner",
    "platform_support",
    "model_end_user",
    "cicd_process",
    "workspace_process",
    "monitoring_process",
    "governance_process",
)


def _distinct(items: list[Any]) -> list[Any]:
    names = [item.name for item in items]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ValueError(f"'{twice}' is listed twice")
    return items


Distinct = AfterValidator(_distinct)


class Substitution(Spec):
    """A package source that this installation cannot or must not fetch, and what to do in its place."""

    title: ClassVar[str] = "setup › package substitution"

    match: Text = Field(description="Pattern of the requirement line, with * and ?: 'git+https://github.com/org/*'.")
    action: Annotated[Literal["drop", "replace"], Fold] = Field(description="drop or replace.")
    with_: Text | None = Field(None, alias="with", description="Requirement to install in its place: 'package==1.2'.")
    reason: LooseText | None = Field(None, description="Why; shown where it is applied.")

    @model_validator(mode="after")
    def _complete(self) -> Substitution:
        if self.action == "replace" and not self.with_:
            raise ValueError("action 'replace' needs 'with: package==version'")
        if self.action == "drop" and self.with_:
            raise ValueError("action 'drop' takes no 'with'; write 'action: replace' to install something else")
        return self


class SetupWorkspace(Spec):
    title: ClassVar[str] = "setup › workspace"

    name: Name = Field(description="Name of the workspace.")
    kind: Annotated[Literal["preproduction", "production"], Fold] = Field(
        description="preproduction or production; decides what each persona may do in it."
    )
    display_name: LooseText | None = Field(None, description="What people see.")
    description: LooseText | None = Field(None, description="What it is for.")
    tags: Tags = Field(default_factory=dict, description="Free labels: text to text.")
    package_substitutions: list[Substitution] = Field(
        default_factory=list, description="Package sources to drop or replace when environments are built."
    )
    private_addresses: list[Text] = Field(
        default_factory=list,
        description="What its data URLs, webhooks and notifications may reach beside the internet: addresses, networks "
        "(10.1.0.0/16), host names (*.corp.example).",
    )


class Registry(Spec):
    title: ClassVar[str] = "setup › registry"

    name: Name = Field(description="Name in azureml://registries/NAME/...")
    description: LooseText | None = Field(None, description="What it shares.")


class SetupCompute(Compute):
    title: ClassVar[str] = "setup › compute"

    workspaces: list[Name] | None = Field(None, description="Workspaces that may use it (default: all).")


class SetupDatastore(Datastore):
    title: ClassVar[str] = "setup › datastore"

    workspaces: list[Name] | None = Field(None, description="Workspaces that have it (default: all).")


class User(Spec):
    title: ClassVar[str] = "setup › user"

    name: Name = Field(description="Name to log in with, and in the record.")
    display_name: LooseText | None = Field(None, description="What people see.")
    email: Text | None = Field(None, description="Address for notifications.")
    kind: Annotated[Literal["person", "service"], Fold] = Field("person", description="person or service.")


class Group(Spec):
    title: ClassVar[str] = "setup › group"

    name: Name = Field(description="Name of the group.")
    persona: Persona = Field(description="Which of the twelve personas its members have.")
    members: list[Name] = Field(default_factory=list, description="Names of users.")
    workspaces: list[Name] | None = Field(None, description="Workspaces that it has access to (default: all).")
    just_in_time: bool | None = Field(
        None, description="Members must activate their rights (default: as the article says of the persona)."
    )
    needs_approval: bool | None = Field(None, description="Another has to approve each activation (default: no).")
    notify: Name | None = Field(None, description="Notification target that tells its members what they may approve.")
    description: LooseText | None = Field(None, description="Who they are.")


class Assignment(Spec):
    """A role for one user, group or process, beside what the personas bring."""

    title: ClassVar[str] = "setup › assignment"

    user: Name | None = Field(None, description="The user; or give a group or a service.")
    group: Name | None = Field(None, description="The group; or give a user or a service.")
    service: Name | None = Field(None, description="The process; or give a user or a group.")
    role: Text = Field(description="Role by its abbreviation: R, C, O, ADS, ACO, AcrPush, LAR, ...")
    workspace: Name | None = Field(None, description="Where (default: the whole installation).")
    resource: Text | None = Field(None, description="One thing of that workspace, as in endpoint/bikes.")
    resource_kind: Text | None = Field(None, description="Kind of resource the role is for (default: all it covers).")
    until: Text | None = Field(None, description="Time at which it ends.")
    eligible: bool = Field(False, description="true: counts only while its holder has activated it.")
    needs_approval: bool = Field(False, description="true: another has to approve each activation.")
    reason: LooseText | None = Field(None, description="Why; kept with it.")

    @model_validator(mode="after")
    def _one_principal(self) -> Assignment:
        if [self.user, self.group, self.service].count(None) != 2:
            raise ValueError("an assignment names one 'user' or one 'group' or one 'service'")
        if self.resource and not self.workspace:
            raise ValueError("'resource' needs the 'workspace' that it is in")
        return self

    @property
    def principal(self) -> str:
        kind = "user" if self.user else "group" if self.group else "service"
        return f"{kind}:{getattr(self, kind)}"


class Notification(Spec):
    title: ClassVar[str] = "setup › notification"

    name: Name = Field(description="Name that rules use.")
    url: Text | None = Field(None, description="Where to: an Apprise or webhook address; may be ${{secrets.NAME}}.")
    emails: list[Mailbox] = Field(default_factory=list, description="Addresses to write to.")
    events: list[Text] = Field(default_factory=list, description="Facts that it hears of by itself; * is any part.")
    workspaces: list[Name] | None = Field(None, description="Workspaces it hears of (default: all).")

    @model_validator(mode="after")
    def _somewhere(self) -> Notification:
        if not self.url and not self.emails:
            raise ValueError("a notification target needs 'url' or 'emails'")
        return self


class Budget(Spec):
    """A limit of cost. What an endpoint's objectives may still miss (``slo``) is another thing: an error budget."""

    title: ClassVar[str] = "setup › budget"

    name: Name = Field(description="Name of the budget.")
    workspace: Name | None = Field(None, description="What it counts (default: the whole installation).")
    compute: Name | None = Field(None, description="Only what ran on this compute.")
    endpoint: Name | None = Field(None, description="Only the deployments of this endpoint of the workspace.")
    amount: Annotated[Number, Field(gt=0)] = Field(description="Limit for one period.")
    currency: Currency = Field("EUR", description="Currency of the amount: EUR, USD, ...")
    period: Annotated[Literal["month", "quarter", "year"], Fold] = Field("month", description="month, quarter or year.")
    alert_at: list[Annotated[Int, Field(ge=1)]] = Field(
        default_factory=lambda: [80, 100], description="Shares of the amount, in per cent, at which it reports."
    )
    forecast_at: list[Annotated[Int, Field(ge=1)]] = Field(
        default_factory=list, description="The same of what the period is expected to cost (default: never)."
    )
    notify: list[Name] = Field(
        default_factory=list, description="Notification targets, beside those of the product owners."
    )

    @model_validator(mode="after")
    def _of_one_thing(self) -> Budget:
        if self.endpoint and not self.workspace:
            raise ValueError("a budget of an endpoint names the 'workspace' that it is in")
        return self


class SetupRule(Rule):
    title: ClassVar[str] = "setup › rule"

    workspaces: list[Name] | None = Field(None, description="Workspaces that have it (default: all).")


class Setup(Spec):
    title: ClassVar[str] = "setup"

    schema_: Text | None = Field(None, alias="$schema", description="doubleloop/setup")
    name: Name | None = Field(None, description="What this set-up is called (default: the file's name).")
    description: LooseText | None = Field(None, description="What it is for.")
    registry: Registry | None = Field(None, description="The registry that workspaces share assets through.")
    registries: Annotated[list[Registry], Distinct] = Field(default_factory=list, description="Further registries.")
    workspaces: Annotated[list[SetupWorkspace], Distinct] = Field(default_factory=list, description="Workspaces.")
    computes: Annotated[list[SetupCompute], Distinct] = Field(default_factory=list, description="Computes.")
    datastores: Annotated[list[SetupDatastore], Distinct] = Field(default_factory=list, description="Datastores.")
    users: Annotated[list[User], Distinct] = Field(default_factory=list, description="People and services.")
    groups: Annotated[list[Group], Distinct] = Field(default_factory=list, description="Groups with a persona.")
    assignments: list[Assignment] = Field(default_factory=list, description="Further roles.")
    notifications: Annotated[list[Notification], Distinct] = Field(
        default_factory=list, description="Where messages go."
    )
    budgets: Annotated[list[Budget], Distinct] = Field(default_factory=list, description="Limits of cost.")
    rules: Annotated[list[SetupRule], Distinct] = Field(
        default_factory=list, description="Rules that its workspaces have, inline or as paths of files."
    )


SUPPORT: dict[type[Spec], support.Rows] = {
    Substitution: support.rows("match action with reason"),
    SetupWorkspace: support.rows("name kind display_name description tags package_substitutions private_addresses"),
    Registry: support.rows("name description"),
    SetupCompute: support.rows("workspaces"),
    SetupDatastore: support.rows("workspaces"),
    User: support.rows("name display_name email kind"),
    Group: support.rows("name persona members workspaces just_in_time needs_approval notify description"),
    Assignment: support.rows(
        "user group service role workspace resource resource_kind until eligible needs_approval reason"
    ),
    SetupRule: support.rows("workspaces"),
    Notification: support.rows("name url emails events workspaces"),
    Budget: support.rows("name workspace compute endpoint amount currency period alert_at forecast_at notify"),
    Setup: support.rows(
        "$schema name description registry registries workspaces computes datastores users groups assignments "
        "notifications budgets rules"
    ),
}
