Feature: Listen

  Scenario: One event of its kind ends the wait
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: one, version: '1.0.0' }
    do:
      - wait:
          listen: { to: { one: { with: { type: order.paid } } } }
    """
    When the workflow is executed
    Then the workflow should still wait
    When the event comes:
    """yaml
    { specversion: "1.0", id: "1", source: "https://a", type: order.made, data: { n: 1 } }
    """
    Then the workflow should still wait
    When the event comes:
    """yaml
    { specversion: "1.0", id: "2", source: "https://a", type: order.paid, data: { n: 2 } }
    """
    Then the workflow should complete with output:
    """yaml
    [ { n: 2 } ]
    """

  Scenario: The envelope is read when it is asked for
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: env, version: '1.0.0' }
    do:
      - wait:
          listen: { to: { one: { with: { type: order.paid } } }, read: envelope }
          output: { as: '.[0].id' }
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { specversion: "1.0", id: "77", source: "https://a", type: order.paid, data: 1 }
    """
    Then the workflow should complete with output:
    """yaml
    '77'
    """

  Scenario: Raw data is text
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: raw, version: '1.0.0' }
    do:
      - wait:
          listen: { to: { one: { with: { type: a } } }, read: raw }
          output: { as: '.[0]' }
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: a, data: { x: [1] } }
    """
    Then the workflow should complete with output:
    """yaml
    '{"x":[1]}'
    """

  Scenario: Any of several events ends the wait
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: any, version: '1.0.0' }
    do:
      - wait:
          listen:
            to:
              any:
                - with: { type: temperature, data: '${ .value > 38 }' }
                - with: { type: pulse, data: '${ .value < 60 or .value > 100 }' }
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: temperature, data: { value: 37 } }
    """
    Then the workflow should still wait
    When the event comes:
    """yaml
    { id: "2", source: "https://a", type: pulse, data: { value: 120 } }
    """
    Then the workflow should complete with output:
    """yaml
    [ { value: 120 } ]
    """

  Scenario: All of several events are waited for, in any order
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: all, version: '1.0.0' }
    do:
      - wait:
          listen:
            to:
              all:
                - with: { type: a }
                - with: { type: b }
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: b, data: 2 }
    """
    When the event comes:
    """yaml
    { id: "2", source: "https://a", type: b, data: 3 }
    """
    Then the workflow should still wait
    When the event comes:
    """yaml
    { id: "3", source: "https://a", type: a, data: 1 }
    """
    Then the workflow should complete with output:
    """yaml
    [ 2, 1 ]
    """

  Scenario: Events are gathered until a condition holds
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: until, version: '1.0.0' }
    do:
      - wait:
          listen:
            to:
              any: [ { with: { type: a } } ]
              until: length >= 2
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: a, data: 1 }
    """
    Then the workflow should still wait
    When the event comes:
    """yaml
    { id: "2", source: "https://a", type: a, data: 2 }
    """
    Then the workflow should complete with output:
    """yaml
    [ 1, 2 ]
    """

  Scenario: Events are gathered until another event comes
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: until-event, version: '1.0.0' }
    do:
      - wait:
          listen:
            to:
              any: [ { with: { type: a } } ]
              until: { one: { with: { type: stop } } }
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: a, data: 1 }
    """
    When the event comes:
    """yaml
    { id: "2", source: "https://a", type: stop, data: 9 }
    """
    Then the workflow should complete with output:
    """yaml
    [ 1 ]
    """

  Scenario: Without filters every event counts
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: every, version: '1.0.0' }
    do:
      - wait:
          listen: { to: { any: [], until: length == 2 } }
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: a, data: 1 }
    """
    When the event comes:
    """yaml
    { id: "2", source: "https://a", type: b, data: 2 }
    """
    Then the workflow should complete with output:
    """yaml
    [ 1, 2 ]
    """

  Scenario: Each event is worked on in turn
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: foreach, version: '1.0.0' }
    do:
      - wait:
          listen: { to: { any: [ { with: { type: a } } ], until: '($context.sum // 0) > 4' } }
          foreach:
            item: event
            at: n
            do:
              - pause: { wait: PT1S }
              - double: { set: { twice: '${ $event * 2 }', n: '${ $n }' } }
            output: { as: .twice }
            export: { as: '{ sum: (($context.sum // 0) + .) }' }
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: a, data: 1 }
    """
    When the event comes:
    """yaml
    { id: "2", source: "https://a", type: a, data: 2 }
    """
    Then the workflow should still wait
    When PT2S passes
    Then the workflow should complete with output:
    """yaml
    [ 2, 4 ]
    """

  Scenario: Attributes are matched by patterns
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: pattern, version: '1.0.0' }
    do:
      - wait:
          listen: { to: { one: { with: { type: 'order\..*', source: '^https://shop' } } } }
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://shop", type: xorder.paid, data: 1 }
    """
    Then the workflow should still wait
    When the event comes:
    """yaml
    { id: "2", source: "https://shop", type: order.paid, data: 2 }
    """
    Then the workflow should complete with output:
    """yaml
    [ 2 ]
    """

  Scenario: Events that came before the listen began are not lost
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: early, version: '1.0.0' }
    do:
      - pause: { wait: PT1H }
      - wait:
          listen: { to: { one: { with: { type: a } } } }
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: a, data: early }
    """
    When PT1H passes
    Then the workflow should complete with output:
    """yaml
    [ early ]
    """

  Scenario: A listen may ask for events from now on only
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: late, version: '1.0.0', metadata: { nexus.dev/listenFrom: now } }
    do:
      - pause: { wait: PT1H }
      - wait:
          listen: { to: { one: { with: { type: a } } } }
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: a, data: early }
    """
    When PT1H passes
    Then the workflow should still wait
    When the event comes:
    """yaml
    { id: "2", source: "https://a", type: a, data: late }
    """
    Then the workflow should complete with output:
    """yaml
    [ late ]
    """
