Feature: Lifecycle

  Scenario: A run tells how it goes
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: plain, version: '1.0.0' }
    do: [ { pause: { wait: PT1S } } ]
    """
    When the workflow is executed
    When PT1S passes
    Then the lifecycle should be 'workflow.started', 'workflow.completed'

  Scenario: Tasks tell, too, when the flow asks for it
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: told, version: '1.0.0', metadata: { nexus.dev/taskEvents: true } }
    do: [ { make: { set: { a: 1 } } }, { fail: { raise: { error: { type: https://a.example/x, status: 500 } } } } ]
    """
    When the workflow is executed
    Then the lifecycle should be 'workflow.started', 'task.started', 'task.completed', 'task.started', 'task.faulted', 'workflow.faulted'

  Scenario: A suspended run does nothing until it is resumed
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: halt, version: '1.0.0' }
    do:
      - pause: { wait: PT1M }
      - wait: { listen: { to: { one: { with: { type: a } } } } }
    """
    When the workflow is executed
    When the workflow is suspended
    And PT2M passes
    Then the workflow should wait for:
    """yaml
    - { task: /, for: resume }
    """
    When the workflow is resumed
    And the workflow is suspended
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: a, data: 1 }
    """
    When the workflow is resumed
    Then the workflow should complete with output:
    """yaml
    [ 1 ]
    """
    And the lifecycle should be 'workflow.started', 'workflow.suspended', 'workflow.resumed', 'workflow.suspended', 'workflow.resumed', 'workflow.completed'

  Scenario: A cancelled run is over
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: cancel, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - a: { wait: PT1M }
              - b: { listen: { to: { one: { with: { type: a } } } } }
    """
    When the workflow is executed
    When the workflow is cancelled
    Then the workflow should be cancelled

  Scenario: A faulted task can be done again
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: again, version: '1.0.0' }
    do:
      - first: { set: { n: 1 } }
      - ask: { call: http, with: { method: get, endpoint: https://test.example/flaky }, output: { as: '$input + .' } }
      - last: { set: { n: '${ .n }', ok: '${ .ok }' } }
    """
    And '/flaky' answers '500'
    And '/flaky' answers '200':
    """yaml
    ok: true
    """
    When the workflow is executed
    Then the workflow should fault
    When it is retried from '/do/1/ask'
    Then the workflow should complete with output:
    """yaml
    { n: 1, ok: true }
    """
    And first should run 1 times
    And ask should run 2 times
    And all requests should carry one key

  Scenario: A branch that was cut off by a fault is done again with it
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: again-fork, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - slow: { wait: PT1M }
              - ask: { call: http, with: { method: get, endpoint: https://test.example/flaky } }
    """
    And '/flaky' answers '500'
    And '/flaky' answers '200':
    """yaml
    ok: true
    """
    And given the workflow input is:
    """yaml
    x: 1
    """
    When the workflow is executed
    Then the workflow should fault
    When it is retried from '/do/0/both/fork/branches/1/ask'
    Then the workflow should still wait
    When PT1M passes
    Then the workflow should complete with output:
    """yaml
    [ { x: 1 }, { ok: true } ]
    """
