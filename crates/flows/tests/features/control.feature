Feature: Control

  Scenario: A task whose condition does not hold is skipped
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: if, version: '1.0.0' }
    do:
      - a: { if: .n > 5, set: { big: true }, then: end }
      - b: { set: { small: true } }
    """
    And given the workflow input is:
    """yaml
    n: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    small: true
    """
    And a should not run

  Scenario: Branches run side by side and give a list
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: fork, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - a: { do: [ { p: { wait: PT2S } }, { s: { set: { a: 1 } } } ] }
              - b: { do: [ { p: { wait: PT1S } }, { s: { set: { b: 1 } } } ] }
    """
    When the workflow is executed
    When PT1S passes
    Then the workflow should still wait
    When PT1S passes
    Then the workflow should complete with output:
    """yaml
    [ { a: 1 }, { b: 1 } ]
    """

  Scenario: In a race a failure only loses
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: race, version: '1.0.0' }
    do:
      - race:
          fork:
            compete: true
            branches:
              - bad: { raise: { error: { type: https://a.example/x, status: 500 } } }
              - good: { do: [ { p: { wait: PT1S } }, { s: { set: { good: true } } } ] }
    """
    When the workflow is executed
    When PT1S passes
    Then the workflow should complete with output:
    """yaml
    good: true
    """

  Scenario: Without a winner the last error is the race's
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: race2, version: '1.0.0' }
    do:
      - race:
          fork:
            compete: true
            branches:
              - one: { raise: { error: { type: https://a.example/x, status: 501 } } }
              - two: { raise: { error: { type: https://a.example/x, status: 502 } } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { status: 502, instance: /do/0/race/fork/branches/1/two }
    """

  Scenario: A loop goes on while its condition holds
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: while, version: '1.0.0' }
    do:
      - loop:
          for: { each: n, at: i, in: .numbers }
          while: '(.sum // 0) < 3'
          do: [ { add: { set: { sum: '${ (.sum // 0) + $n }', last: '${ $i }' } } } ]
    """
    And given the workflow input is:
    """yaml
    numbers: [1, 2, 3, 4]
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { sum: 3, last: 1 }
    """

  Scenario: An exit ends the list it stands in, an end the flow
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: exit, version: '1.0.0' }
    do:
      - inner: { do: [ { a: { set: { a: 1 }, then: exit } }, { b: { set: { b: 1 } } } ] }
      - deeper: { do: [ { c: { do: [ { d: { set: { done: '${ .a }' }, then: end } } ] } }, { e: { set: { e: 1 } } } ] }
      - never: { set: { never: true } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    done: 1
    """
    And never should not run

  Scenario: Data flows as the specification says
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: data, version: '1.0.0' }
    input: { from: .order, schema: { document: { type: object, required: [ order ] } } }
    output: { as: '{ result: ., context: $context }' }
    do:
      - price:
          input: { from: '{ n: .n, unit: 5 }' }
          set: { total: '${ .n * .unit }', raw: '${ $task.input.n }' }
          output: { as: '{ total: .total, n: $input.n, raw: .raw }' }
          export: { as: '{ seen: .total, out: $output.n, name: $task.name }' }
    """
    And given the workflow input is:
    """yaml
    order: { n: 3 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { result: { total: 15, n: 3, raw: 3 }, context: { seen: 15, out: 3, name: price } }
    """

  Scenario: Input that the schema does not allow is an error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: schema, version: '1.0.0' }
    input: { schema: { format: json, document: { type: object, required: [ order ] } } }
    do: [ { a: { set: { a: 1 } } } ]
    """
    And given the workflow input is:
    """yaml
    other: 1
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: "https://serverlessworkflow.io/spec/1.0.0/errors/validation", status: 400 }
    """

  Scenario: A function of the document is called with arguments
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: function, version: '1.0.0' }
    use:
      functions:
        add: { set: { sum: '${ .a + .b }' } }
    do:
      - one: { call: add, with: { a: 1, b: '${ .n }' } }
    """
    And given the workflow input is:
    """yaml
    n: 41
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    sum: 42
    """

  Scenario: A function of the hub is called with arguments
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: hub, version: '1.0.0' }
    do:
      - one: { call: 'echo:1.0.0@default', with: { n: '${ .n }' } }
    """
    And given the workflow input is:
    """yaml
    n: 42
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    n: 42
    """

  Scenario: Errors of the document are raised by name
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: named, version: '1.0.0' }
    use: { errors: { full: { type: https://a.example/full, status: 507, title: Full, detail: '${ "no room for \(.n)" }' } } }
    do: [ { fail: { raise: { error: full } } } ]
    """
    And given the workflow input is:
    """yaml
    n: 2
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: https://a.example/full, status: 507, title: Full, detail: no room for 2, instance: /do/0/fail }
    """

  Scenario: An expression that fails is an error with its place
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: fails, version: '1.0.0' }
    do: [ { a: { set: { x: '${ .n + 1 }' } } } ]
    """
    And given the workflow input is:
    """yaml
    n: text
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: "https://serverlessworkflow.io/spec/1.0.0/errors/expression", status: 400, instance: /do/0/a }
    """

