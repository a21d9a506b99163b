Feature: Correlate

  Scenario: Only the event with the expected value counts
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: expect, version: '1.0.0' }
    do:
      - wait:
          listen:
            to:
              one:
                with: { type: paid }
                correlate: { order: { from: .data.order, expect: '${ .order }' } }
    """
    And given the workflow input is:
    """yaml
    order: o-1
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: paid, data: { order: o-2 } }
    """
    Then the workflow should wait for:
    """yaml
    - { task: /do/0/wait, for: events, filters: [ { kind: paid, expect: { order: o-1 } } ] }
    """
    When the event comes:
    """yaml
    { id: "2", source: "https://a", type: paid, data: { order: o-1 } }
    """
    Then the workflow should complete with output:
    """yaml
    [ { order: o-1 } ]
    """

  Scenario: The first value counts when none is expected
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: first, version: '1.0.0' }
    do:
      - wait:
          listen:
            to:
              all:
                - with: { type: a }
                  correlate: { order: { from: .data.order } }
                - with: { type: b }
                  correlate: { order: { from: .data.order } }
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: a, data: { order: 1 } }
    """
    When the event comes:
    """yaml
    { id: "2", source: "https://a", type: b, data: { order: 2 } }
    """
    Then the workflow should still wait
    When the event comes:
    """yaml
    { id: "3", source: "https://a", type: b, data: { order: 1 } }
    """
    Then the workflow should complete with output:
    """yaml
    [ { order: 1 }, { order: 1 } ]
    """

  Scenario: Absence is a race against a wait
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: absence, version: '1.0.0' }
    do:
      - watch:
          fork:
            compete: true
            branches:
              - seen:
                  do:
                    - login: { listen: { to: { one: { with: { type: logged.in }, correlate: { user: { from: .data.user, expect: '${ .user }' } } } } } }
                    - mark: { set: { absent: false } }
              - deadline:
                  do:
                    - week: { wait: { days: 7 } }
                    - mark: { set: { absent: true } }
    """
    And given the workflow input is:
    """yaml
    user: ada
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: logged.in, data: { user: bob } }
    """
    When P7D passes
    Then the workflow should complete with output:
    """yaml
    absent: true
    """
