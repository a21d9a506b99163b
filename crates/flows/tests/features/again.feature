Feature: Again

  Scenario: A run goes back to an earlier task, with what that was given and the context that it saw
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: earlier, version: '1.0.0' }
    do:
      - count: { set: { n: '${ ($context.n // 0) + 1 }' }, export: { as: '{ n: ((.n // 0) + 10) }' } }
      - price: { call: http, with: { method: get, endpoint: https://test.example/price }, output: { as: '. + $input' }, export: { as: '{ n: ($context.n + 1), price: .price }' } }
      - pay: { call: http, with: { method: get, endpoint: https://test.example/pay } }
      - done: { set: { price: '${ $context.price }', context: '${ $context.n }' } }
    """
    And '/price' answers '200':
    """yaml
    price: 0
    """
    And '/pay' answers '500'
    And '/price' answers '200':
    """yaml
    price: 5
    """
    And '/pay' answers '200':
    """yaml
    ok: true
    """
    When the workflow is executed
    Then the workflow should fault
    When it is retried from 'price'
    Then the workflow should complete with output:
    """yaml
    { price: 5, context: 12 }
    """
    And count should run 1 times
    And price should run 2 times
    And pay should run 2 times

  Scenario: The first task of all can be done again
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: first, version: '1.0.0' }
    input: { from: '{ given: .x }' }
    do:
      - note: { set: { given: '${ .given }', before: '${ $context }' }, export: { as: '{ seen: true }' } }
      - ask: { call: http, with: { method: get, endpoint: https://test.example/flaky }, output: { as: '$input' } }
    """
    And given the workflow input is:
    """yaml
    x: 7
    """
    And '/flaky' answers '500'
    And '/flaky' answers '200':
    """yaml
    ok: true
    """
    When the workflow is executed
    Then the workflow should fault
    When it is retried from '/do/0/note'
    Then the workflow should complete with output:
    """yaml
    { given: 7, before: null }
    """

  Scenario: A run goes back within the iteration, the attempt and the branch that failed, and around them
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: nested, version: '1.0.0' }
    do:
      - start: { set: { n: 0 } }
      - each:
          for: { each: item, in: '[1, 2]' }
          do:
            - add: { set: { n: '${ .n + $item }' } }
            - guarded:
                try:
                  - both:
                      fork:
                        branches:
                          - quick: { set: { q: 1 } }
                          - chain:
                              do:
                                - before: { set: { n: '${ .n }', item: '${ $item }' } }
                                - ask: { call: http, with: { method: get, endpoint: https://test.example/flaky }, output: { as: '$input' } }
                catch: { errors: { with: { status: 418 } } }
                output: { as: '{ n: .[1].n }' }
    """
    And '/flaky' answers '200':
    """yaml
    ok: true
    """
    And '/flaky' answers '500'
    And '/flaky' answers '500'
    And '/flaky' answers '500'
    And '/flaky' answers '200':
    """yaml
    ok: true
    """
    When the workflow is executed
    Then the workflow should fault
    When it is retried from 'before'
    Then the workflow should fault
    And before should run 3 times
    When it is retried from 'add'
    Then the workflow should fault
    And add should run 3 times
    And retrying it from 'quick' should be refused with:
    """yaml
    /do/1/each/do/1/guarded/try/0/both/fork/branches/0/quick can't be done again
    """
    When it is retried from 'guarded'
    Then the workflow should complete with output:
    """yaml
    { n: 3 }
    """
    And start should run 1 times
    And quick should run 4 times

  Scenario: A handler and the tasks of an event can be done again
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: handled, version: '1.0.0' }
    do:
      - guarded:
          try: [ { fail: { raise: { error: { type: https://a.example/x, status: 500 } } } } ]
          catch:
            do:
              - noted: { set: { was: '${ $error.status }' } }
              - listen:
                  listen: { to: { any: [ { with: { type: a } } ], until: { one: { with: { type: end } } } } }
                  foreach:
                    item: event
                    do:
                      - mark: { set: { of: '${ $event.n }' } }
                      - ask: { call: http, with: { method: get, endpoint: https://test.example/flaky }, output: { as: '$input' } }
    """
    And '/flaky' answers '200':
    """yaml
    ok: true
    """
    And '/flaky' answers '500'
    And '/flaky' answers '200':
    """yaml
    ok: true
    """
    When the workflow is executed
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: a, data: { n: 1 } }
    """
    When the event comes:
    """yaml
    { id: "2", source: "https://a", type: a, data: { n: 2 } }
    """
    Then the workflow should fault
    And retrying it from 'fail' should be refused with:
    """yaml
    /do/0/guarded/try/0/fail can't be done again
    mark (/do/0/guarded/catch/do/1/listen/foreach/do/0/mark)
    """
    When it is retried from 'mark'
    When the event comes:
    """yaml
    { id: "3", source: "https://a", type: end }
    """
    Then the workflow should complete with output:
    """yaml
    [ { of: 1 }, { of: 2 } ]
    """
    And mark should run 3 times
    And noted should run 1 times

  Scenario: Of a task that was done several times the last counts
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: laps, version: '1.0.0' }
    do:
      - zero: { set: { n: 0 } }
      - add: { set: { n: '${ .n + 1 }' } }
      - enough: { switch: [ { again: { when: .n < 3, then: add } }, { otherwise: { then: ask } } ] }
      - never: { set: { n: -1 } }
      - ask: { call: http, with: { method: get, endpoint: https://test.example/flaky }, output: { as: '$input' } }
    """
    And '/flaky' answers '500'
    And '/flaky' answers '200':
    """yaml
    ok: true
    """
    When the workflow is executed
    Then the workflow should fault
    And retrying it from 'never' should be refused with:
    """yaml
    /do/3/never can't be done again: it was not done in this run
    """
    When it is retried from 'add'
    Then the workflow should complete with output:
    """yaml
    { n: 3 }
    """
    And add should run 4 times

  Scenario: What an extension failed at can be done again
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: extended, version: '1.0.0' }
    use:
      extensions:
        - checked:
            extend: set
            after:
              - look: { set: '${ . }' }
              - ask: { call: http, with: { method: get, endpoint: https://test.example/flaky } }
    do:
      - make: { set: { a: 1 } }
    """
    And '/flaky' answers '500'
    And '/flaky' answers '500'
    And '/flaky' answers '200':
    """yaml
    ok: true
    """
    When the workflow is executed
    Then the workflow should fault
    When it is retried from 'ask'
    Then the workflow should fault
    When it is retried from 'look'
    Then the workflow should complete with output:
    """yaml
    { a: 1 }
    """
    And make should run 1 times
    And look should run 2 times

  Scenario: What can't be done again is refused with what can
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: refusals, version: '1.0.0' }
    do:
      - prepare: { do: [ { same: { set: { a: 1 } } }, { inner: { set: { a: 2 } } } ] }
      - same: { set: { a: 3 } }
      - fail: { raise: { error: { type: https://a.example/x, status: 500 } } }
      - later: { set: { a: 4 } }
    """
    When the workflow is executed
    Then the workflow should fault
    And retrying it from 'prepair' should be refused with:
    """yaml
    has no task "prepair"; did you mean "prepare"?
    its tasks are prepare (/do/0/prepare), same (/do/0/prepare/do/0/same), inner (/do/0/prepare/do/1/inner), same (/do/1/same), fail (/do/2/fail), later (/do/3/later)
    the run failed at /do/2/fail
    """
    And retrying it from 'same' should be refused with:
    """yaml
    several tasks are named "same"; say which: /do/0/prepare/do/0/same, /do/1/same
    """
    And retrying it from 'inner' should be refused with:
    """yaml
    it stands in /do/0/prepare, which was over: only that can be done again, as a whole
    it can be tried again from prepare (/do/0/prepare), same (/do/1/same), fail (/do/2/fail)
    """
    And retrying it from '/do/3/later' should be refused with:
    """yaml
    /do/3/later can't be done again: it was not done in this run
    """
    When it is retried from '/do/1/same'
    Then the workflow should fault

  Scenario: A flow whose time was over names the task to go on from
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: slow, version: '1.0.0' }
    timeout: { after: PT1M }
    do:
      - first: { set: { a: 1 } }
      - wait: { listen: { to: { one: { with: { type: a } } } } }
    """
    When the workflow is executed
    And PT2M passes
    Then the workflow should fault
    And retrying it from '' should be refused with:
    """yaml
    the run failed at / (the flow took longer than it may), which is no task of it; it can be tried again from first (/do/0/first), wait (/do/1/wait)
    """
    When it is retried from 'first'
    When the event comes:
    """yaml
    { id: "1", source: "https://a", type: a, data: 1 }
    """
    Then the workflow should complete with output:
    """yaml
    [ 1 ]
    """
