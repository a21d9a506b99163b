Feature: Extensions

  Scenario: Tasks happen before and after the tasks they extend
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: around, version: '1.0.0' }
    use:
      extensions:
        - log:
            extend: set
            before: [ { say: { emit: { event: { with: { source: https://a.example, type: before, data: '${ $task.reference }' } } } } } ]
            after: [ { said: { emit: { event: { with: { source: https://a.example, type: after } } } } } ]
    do:
      - make: { set: { a: 1 } }
      - pause: { wait: PT1S }
    """
    When the workflow is executed
    When PT1S passes
    Then the workflow should complete with output:
    """yaml
    a: 1
    """
    And the events published should be:
    """yaml
    - { type: before }
    - { type: after }
    """

  Scenario: An extension may take the place of a call
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: mock, version: '1.0.0' }
    use:
      extensions:
        - mock:
            extend: call
            when: $task.call == "http" and ($task.with.endpoint | startswith("https://mocked.example"))
            before: [ { instead: { set: { mocked: true }, then: exit } } ]
    do:
      - ask: { call: http, with: { method: get, endpoint: https://mocked.example/a } }
      - other: { call: http, with: { method: get, endpoint: https://test.example/status/204 }, output: { as: $input } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    mocked: true
    """
    And 1 requests should have been made
