"""What jobs and deployments cost, and budgets that are told of before they are spent.

Spend is recorded run times at the prices of computes. Money is ``Decimal`` from end to end. A budget of cost has
nothing to do with the error budget of an endpoint's objectives (``gateway.objectives``).
"""
