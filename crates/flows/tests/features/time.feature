Feature: Time

  Scenario: A wait ends when its time is over
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: wait, version: '1.0.0' }
    do:
      - pause: { wait: { minutes: 1, seconds: 30 } }
    """
    And given the workflow input is:
    """yaml
    a: 1
    """
    When the workflow is executed
    Then the workflow should wait for:
    """yaml
    - { task: /do/0/pause, for: time }
    """
    When PT89S passes
    Then the workflow should still wait
    When PT1S passes
    Then the workflow should complete with output:
    """yaml
    a: 1
    """

  Scenario: A wait may be computed
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: computed, version: '1.0.0' }
    do:
      - pause: { wait: '${ .pause }' }
    """
    And given the workflow input is:
    """yaml
    pause: PT2H
    """
    When the workflow is executed
    When PT1H59M passes
    Then the workflow should still wait
    When PT1M passes
    Then the workflow should complete with output:
    """yaml
    pause: PT2H
    """

  Scenario: A task that takes too long times out
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: timeout, version: '1.0.0' }
    do:
      - wait:
          listen: { to: { one: { with: { type: a } } } }
          timeout: { after: PT10M }
    """
    When the workflow is executed
    When PT10M passes
    Then the workflow should fault with error:
    """yaml
    { type: "https://serverlessworkflow.io/spec/1.0.0/errors/timeout", status: 408, instance: /do/0/wait }
    """

  Scenario: A timeout is caught like any error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: caught, version: '1.0.0' }
    use: { timeouts: { short: { after: PT5S } } }
    do:
      - guarded:
          try:
            - wait: { listen: { to: { one: { with: { type: a } } } }, timeout: short }
          catch:
            errors: { with: { type: https://serverlessworkflow.io/spec/1.0.0/errors/timeout } }
            do:
              - note: { set: { late: '${ $error.instance }' } }
    """
    When the workflow is executed
    When PT5S passes
    Then the workflow should complete with output:
    """yaml
    late: /do/0/guarded/try/0/wait
    """

  Scenario: A flow that takes too long times out, whatever it is at
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: flow-timeout, version: '1.0.0' }
    timeout: { after: PT30S }
    do:
      - guarded:
          try: [ { long: { wait: PT60S } } ]
          catch: { do: [ { note: { set: { caught: true } } } ] }
    """
    When the workflow is executed
    When PT30S passes
    Then the workflow should fault with error:
    """yaml
    { status: 408 }
    """

  Scenario: What is done in time does not time out
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: in-time, version: '1.0.0' }
    do:
      - quick: { wait: PT1S, timeout: { after: PT2S } }
      - long: { wait: PT1M }
    """
    When the workflow is executed
    When PT61S passes
    Then the workflow should complete
