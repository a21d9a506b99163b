Feature: Secrets

  Scenario: Secrets reach the other side and nothing else
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: reach, version: '1.0.0' }
    use:
      secrets: [ api, login ]
      authentications: { user: { basic: { use: login } } }
    do:
      - ask:
          call: http
          with:
            method: post
            endpoint: { uri: https://test.example/echo, authentication: { use: user } }
            headers: { authorization: '${ "Bearer \($secrets.api)" }' }
            query: { key: '${ $secrets.api }' }
            body: { token: '${ $secrets.api }', plain: 1 }
      - tell:
          emit: { event: { with: { source: https://a.example, type: told, data: '${ . }' } } }
    """
    And the secrets are:
    """yaml
    { api: sk-123456789, login: { username: ada.lovelace, password: difference-engine } }
    """
    When the workflow is executed
    Then the workflow output should have a 'data.body' property with value:
    """yaml
    { token: '[secret api]', plain: 1 }
    """
    And the workflow output should have a 'data.headers.authorization' property with value:
    """yaml
    'Bearer [secret api]'
    """
    And nothing stored, published or shown should hold:
    """yaml
    sk-123456789
    """
    And nothing stored, published or shown should hold:
    """yaml
    difference-engine
    """

  Scenario: A secret passed on in data stays a secret
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: data, version: '1.0.0' }
    use: { secrets: [ api ] }
    do:
      - keep: { set: { token: '${ $secrets.api }' } }
      - ask: { call: http, with: { method: post, endpoint: https://test.example/echo, body: { token: '${ .token }' } }, output: { as: .body.token } }
      - check: { set: { got: '${ . }' } }
    """
    And the secrets are:
    """yaml
    { api: sk-123456789 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    got: '[secret api]'
    """
    And nothing stored, published or shown should hold:
    """yaml
    sk-123456789
    """

  Scenario: A request shows itself without its secrets
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: shown, version: '1.0.0' }
    use: { secrets: [ api ] }
    do:
      - ask:
          call: http
          with: { method: get, endpoint: https://test.example/echo, query: { key: '${ $secrets.api }' }, output: response }
          output: { as: '{ uri: .request.uri, query: .content.query }' }
    """
    And the secrets are:
    """yaml
    { api: sk-123456789 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    uri: https://test.example/echo?key=%5Bsecret%20api%5D
    query: key=[secret api]
    """

  Scenario: A secret is not filled into a path
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: path, version: '1.0.0' }
    use: { secrets: [ api ] }
    do:
      - ask:
          input: { from: '{ token: $secrets.api }' }
          call: http
          with: { method: get, endpoint: 'https://test.example/{token}' }
    """
    And the secrets are:
    """yaml
    { api: sk-123456789 }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { status: 400, instance: /do/0/ask }
    """
    And 0 requests should have been made

  Scenario: A secret that is not there is not authorized
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: missing, version: '1.0.0' }
    use:
      secrets: [ api, login ]
      authentications: { user: { basic: { use: login } } }
    do:
      - ask:
          call: http
          with:
            method: post
            endpoint: { uri: https://test.example/echo, authentication: { use: user } }
            headers: { authorization: '${ "Bearer \($secrets.api)" }' }
            query: { key: '${ $secrets.api }' }
            body: { token: '${ $secrets.api }', plain: 1 }
      - tell:
          emit: { event: { with: { source: https://a.example, type: told, data: '${ . }' } } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: "https://serverlessworkflow.io/spec/1.0.0/errors/authorization", status: 403, instance: /do/0/ask }
    """

  Scenario: Expressions in data are only data
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: inject, version: '1.0.0' }
    do:
      - keep: { set: { name: '${ .name }' } }
      - ask: { call: http, with: { method: post, endpoint: https://test.example/echo, body: '${ . }' }, output: { as: .body } }
    """
    And given the workflow input is:
    """yaml
    name: '${ 1 + 1 }'
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    name: '${ 1 + 1 }'
    """

  Scenario: Secrets that are not declared, or computed with, are refused
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: refuse, version: '1.0.0' }
    use: { secrets: [ api ] }
    do:
      - a: { set: { x: '${ $secrets.apy }' } }
      - b: { set: { x: '${ $secrets.api | length }' } }
      - c: { call: http, with: { method: get, endpoint: { uri: https://a.example, authentication: { bearer: { use: other } } } } }
    """
    Then the definition should be refused with:
    """yaml
    /do/0/a/set/x
    the secret "apy" is not declared; add it to use.secrets; did you mean "api"?
    /do/1/b/set/x
    nothing can be computed from them
    /do/2/c/with/endpoint/authentication/bearer/use
    """
