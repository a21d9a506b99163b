Feature: Refused

  Scenario: What is not supported is refused by name
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: unsupported, version: '1.0.0' }
    use: { catalogs: { far: { endpoint: { uri: https://a.example } } } }
    do:
      - a: { run: { shell: { command: ls } } }
      - b: { run: { script: { language: js, code: '1' } } }
      - c: { run: { container: { image: x } } }
      - d: { call: grpc, with: { a: 1 } }
      - e: { call: asyncapi, with: { a: 1 } }
      - f: { call: a2a, with: { a: 1 } }
      - g: { call: mcp, with: { a: 1 } }
      - h: { call: 'log:1.0.0@far' }
      - i: { call: https://a.example/f }
      - j: { call: http, with: { method: get, endpoint: { uri: https://a.example, authentication: { digest: { username: a, password: b } } } } }
    """
    Then the definition should be refused with:
    """yaml
    /use/catalogs/far
    /do/0/a/run/shell
    /do/1/b/run/script
    /do/2/c/run/container
    grpc calls are not supported
    asyncapi calls are not supported
    a2a calls are not supported
    mcp calls are not supported
    the catalog "far" is not supported
    functions elsewhere are not supported
    digest is not supported
    """

  Scenario: A correlation that would have to be two things at once is refused
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: twofold, version: '1.0.0', metadata: { nexus.dev/budget: { runs: 0 } } }
    do:
      - both:
          listen:
            to:
              all:
                - { with: { type: paid }, correlate: { order: { from: .data.order, expect: '${ .order }' } } }
                - { with: { type: sent }, correlate: { order: { from: .data.order, expect: '${ .parcel }' } } }
      - either:
          listen:
            to:
              any:
                - { with: { type: paid }, correlate: { order: { from: .data.order, expect: '${ .order }' } } }
              until: { one: { with: { type: end }, correlate: { order: { from: .data.order, expect: '${ .id }' } } } }
    """
    Then the definition should be refused with:
    """yaml
    /do/0/both/listen/to/all/1/correlate/order/expect
    the correlation "order" must be ".order" at /do/0/both/listen/to/all/0/correlate/order/expect and ".parcel" here
    give this one another name
    /do/1/either/listen/to/until/one/correlate/order/expect
    /document/metadata/nexus.dev~1budget
    `runs` (1 to 1000000, in one minute)
    """

  Scenario: Mistakes are named with their place and remedy
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: mistakes, version: '1.0.0' }
    do:
      - a: { set: { x: 1 }, then: c }
      - b: { set: { x: 'Hello ${ .name }' } }
      - b: { switch: [ { x: { then: end } }, { y: { then: end } } ] }
      - d: { wait: P1M }
      - e: { set: { x: '${ $output }' } }
      - f: { raise: { error: fulll } }
      - g: { try: [ { x: { wait: PT1S } } ], catch: { retry: { delay: PT1S } } }
      - h: { set: { x: '${ env.HOME }' } }
      - i: { call: http, with: { method: fetch, endpoint: relative/path } }
      - j: { emit: { event: { with: { type: a } } } }
      - k: { listen: { to: { all: [] } } }
    """
    Then the definition should be refused with:
    """yaml
    /do/0/a/then
    there is no task "c" in this list
    /do/1/b/set/x
    an expression must be the whole text
    a task "b" already stands in this list
    a second case without `when`
    which have no fixed length; write days
    $output is not available here; available: $context, $input
    there is no error "fulll" under use.errors
    it would retry for ever
    `env` may not be used here
    "fetch" is no method
    it begins with its scheme
    the attribute "source" is missing
    at least one filter is expected
    """

  Scenario: Schedules are checked
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: bad_name, version: '1', metadata: { nexus.dev/timezone: Mars/Base, nexus.dev/listenfrom: now } }
    schedule: { cron: '0 25 * * *', every: PT1S }
    do: []
    """
    Then the definition should be refused with:
    """yaml
    "bad_name" is no name
    "1" is no version
    "Mars/Base" is no time zone
    "25" is no value for the hour; it goes from 0 to 23
    exactly one of every, cron, after and on
    did you mean "nexus.dev/listenFrom"?
    """

  Scenario: A circle that nothing ends is refused, any other is not
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: circles, version: '1.0.0' }
    do:
      - once: { set: { n: 0 } }
      - here: { set: { n: 1 }, then: here }
      - there: { set: { n: 2 } }
      - inner:
          do:
            - a: { emit: { event: { with: { type: round } } } }
            - b: { do: [ { c: { set: { n: 3 } } } ], then: a }
      - back: { set: { n: 4 }, then: there }
      - loop: { if: .n < 5, set: { n: 5 }, then: loop }
      - ask: { wait: PT1S }
      - again: { set: { n: 6 }, then: ask }
    """
    Then the definition should be refused with:
    """yaml
    /do/1/here/then
    /do/3/inner/do/1/b/then
    /do/4/back/then
    leads back in a circle that nothing ends
    """

  Scenario: Circles with a way out are taken
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: loops, version: '1.0.0' }
    do:
      - begin: { set: { n: 0 } }
      - more: { set: { n: '${ .n + 1 }' } }
      - choose: { switch: [ { done: { when: .n > 3, then: end } }, { other: { then: more } } ] }
    """
    And given the workflow input is:
    """yaml
    {}
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    n: 4
    """
