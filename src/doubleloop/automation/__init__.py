"""When (a time | a fact) then (a command | a message): schedules, rules, and the loop that watches for both."""
