Feature: Flows in flows

  Scenario: A flow waits for the one it runs
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: child, version: '1.0.0' }
    input: { from: .n }
    do:
      - pause: { wait: PT1M }
      - double: { set: { twice: '${ $workflow.input.n * 2 }' } }
    """
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: parent, version: '1.0.0' }
    do:
      - run: { run: { workflow: { namespace: test, name: child, version: latest, input: { n: 21 } } } }
      - unwrap: { set: '${ .twice }' }
    """
    When the workflow is executed
    Then the workflow should wait for:
    """yaml
    - { task: /do/0/run, for: flow, flow: test/child@latest }
    """
    When PT1M passes
    Then the workflow should complete with output:
    """yaml
    42
    """

  Scenario: A flow need not wait for the one it runs
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: child, version: '1.0.0' }
    input: { from: .n }
    do:
      - pause: { wait: PT1M }
      - double: { set: { twice: '${ $workflow.input.n * 2 }' } }
    """
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: parent, version: '1.0.0' }
    do:
      - run: { run: { workflow: { namespace: test, name: child, version: '1.0.0', input: { n: 21 } }, await: false } }
    """
    And given the workflow input is:
    """yaml
    a: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    a: 1
    """

  Scenario: The error of a flow is that of the task that runs it
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: bad, version: '1.0.0' }
    do: [ { fail: { raise: { error: { type: https://a.example/bad, status: 422, detail: "${ \"no \\(.n)\" }" } } } } ]
    """
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: parent, version: '1.0.0' }
    do:
      - run: { run: { workflow: { namespace: test, name: bad, version: '1.0.0', input: { n: 5 } } } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: https://a.example/bad, status: 422, detail: no 5, instance: /do/0/run }
    """

  Scenario: A flow that is not there is an error that names it
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: parent, version: '1.0.0' }
    do: [ { run: { run: { workflow: { namespace: test, name: nobody, version: latest } } } } ]
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { status: 400, detail: there is no flow test/nobody@latest }
    """

  Scenario: A flow that is cancelled takes the one it runs with it
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: child, version: '1.0.0' }
    input: { from: .n }
    do:
      - pause: { wait: PT1M }
      - double: { set: { twice: '${ $workflow.input.n * 2 }' } }
    """
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: parent, version: '1.0.0' }
    do: [ { run: { run: { workflow: { namespace: test, name: child, version: latest, input: { n: 1 } } } } } ]
    """
    When the workflow is executed
    When the workflow is cancelled
    Then the workflow should be cancelled
    And the lifecycle should be 'workflow.started', 'workflow.started', 'workflow.cancelled', 'workflow.cancelled'
